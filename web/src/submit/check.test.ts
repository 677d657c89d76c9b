import { expect, it } from 'vitest';
import { checkModule, largestModule } from './check';

const header = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const text = (s: string) => [s.length, ...new TextEncoder().encode(s)];
const section = (id: number, content: number[]) => [id, content.length, ...content];
const types = section(1, [1, 0x60, 0, 0]);
const importing = (from: string, name: string) => section(2, [1, ...text(from), ...text(name), 0, 0]);
const bytes = (...parts: number[][]) => new Uint8Array(parts.flat());

const command = (from: string) =>
  bytes(
    header,
    types,
    importing(from, 'f'),
    section(3, [1, 0]),
    section(5, [1, 0, 1]),
    section(7, [2, ...text('_start'), 0, 1, ...text('memory'), 2, 0]),
    section(10, [1, 2, 0, 0x0b]),
  );

it('finds nothing wrong with a command', async () => {
  const check = await checkModule(command('wasi_snapshot_preview1'));
  expect(check.problems).toEqual([]);
  expect(check.imports).toEqual([{ module: 'wasi_snapshot_preview1', names: ['f'], allowed: true }]);
  expect(check.sha256).toMatch(/^[0-9a-f]{64}$/);
});

it('names what is not allowed', async () => {
  const { problems } = await checkModule(command('env'));
  expect(problems).toEqual(['It imports f from “env”. Only wasi_snapshot_preview1 is allowed.']);
});

it('tells what is no module', async () => {
  expect((await checkModule(bytes([1, 2, 3]))).problems[0]).toMatch(/not WebAssembly/);
  expect((await checkModule(bytes([0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0]))).problems[0]).toMatch(/component/);
  expect((await checkModule(bytes(header, [99]))).problems[0]).toMatch(/does not compile/);
  expect((await checkModule(new Uint8Array(largestModule + 1))).problems[0]).toMatch(/32 MiB/);
});

it('wants a command, not a library', async () => {
  const { problems } = await checkModule(bytes(header));
  expect(problems).toHaveLength(2);
  expect(problems[0]).toMatch(/_start/);
});
