import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';
import { compress } from './build/compress.ts';
import { docs } from './build/docs.ts';

export default defineConfig({
  plugins: [docs(), svelte(), compress()],
  server: {
    // Pictures of the programs lie beside them.
    fs: { allow: ['..'] },
    proxy: { '/api': { target: process.env.POTLUCK_SERVER ?? 'http://127.0.0.1:8080', ws: true } },
  },
  build: {
    manifest: true,
    // The page's policy has no data: for anything but images; and a file is cached, a data URL is not.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  worker: {
    // One file each, that runs as a classic worker and as a module.
    format: 'iife',
    rolldownOptions: { output: { entryFileNames: 'assets/[name]-[hash].js' } },
  },
  test: { include: ['src/**/*.test.ts', 'build/**/*.test.ts'] },
});
