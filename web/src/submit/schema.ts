// A form from a program's JSON Schema: its fields, what is wrong with what stands in them, and the
// parameters as JSON. Numbers stay text all the way, so that large ones lose no digits.

export type Kind = 'integer' | 'number' | 'string' | 'boolean' | 'choice' | 'tuple' | 'list' | 'json';

export interface Field {
  name: string;
  title: string;
  hint: string;
  kind: Kind;
  required: boolean;
  default?: unknown;
  /** Of the value, or of each item. */
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  choices?: unknown[];
  /** Kind of each item of a tuple or list. */
  item?: 'integer' | 'number' | 'string';
}

/** What stands in a field: its text, a tick, or the texts of a tuple. */
export type Value = string | boolean | string[];
export type Values = Record<string, Value>;

type Schema = Record<string, unknown>;

/** A tuple of more than this is edited as a list. */
const longestTuple = 6;

export function fieldsOf(schema: unknown): Field[] {
  const root = object(schema);
  const required = Array.isArray(root.required) ? root.required : [];
  const definitions = object(root.$defs);
  return Object.entries(object(root.properties)).map(([name, property]) =>
    fieldOf(name, follow(object(property), definitions), required.includes(name), definitions),
  );
}

/** A definition instead of a reference to it; what the reference says of itself stays. The grid refuses
 * references that lead nowhere. */
function follow(schema: Schema, definitions: Schema): Schema {
  let found = schema;
  for (let i = 0; typeof found.$ref === 'string' && i < 100; i++) {
    const { $ref, ...said } = found;
    const name = $ref.replace('#/$defs/', '').replaceAll('~1', '/').replaceAll('~0', '~');
    found = { ...object(definitions[name]), ...said };
  }
  return found;
}

export function examplesOf(schema: unknown): Record<string, unknown>[] {
  const examples = object(schema).examples;
  return Array.isArray(examples) ? examples.map(object) : [];
}

function fieldOf(name: string, schema: Schema, required: boolean, definitions: Schema): Field {
  const items = follow(object(schema.items), definitions);
  const item = itemKind(items.type);
  const kind = kindOf(schema, item);
  const bounds = kind === 'tuple' || kind === 'list' ? items : schema;
  return {
    name,
    title: text(schema.title) ?? name,
    hint: text(schema.description) ?? '',
    kind,
    required,
    default: schema.default,
    minimum: num(bounds.minimum),
    maximum: num(bounds.maximum),
    minLength: num(bounds.minLength),
    maxLength: num(bounds.maxLength),
    minItems: num(schema.minItems),
    maxItems: num(schema.maxItems),
    choices: Array.isArray(schema.enum) ? schema.enum : undefined,
    item,
  };
}

function kindOf(schema: Schema, item: Field['item']): Kind {
  if (Array.isArray(schema.enum)) return 'choice';
  switch (schema.type) {
    case 'integer':
    case 'number':
    case 'string':
    case 'boolean':
      return schema.type;
    case 'array': {
      if (!item) return 'json';
      const fixed = schema.minItems === schema.maxItems && Number(schema.maxItems) <= longestTuple;
      return fixed ? 'tuple' : 'list';
    }
    default:
      return 'json';
  }
}

function itemKind(type: unknown): Field['item'] {
  return type === 'integer' || type === 'number' || type === 'string' ? type : undefined;
}

/** What the fields show for some parameters; the program's defaults where these are silent. */
export function valuesOf(fields: Field[], params: Record<string, unknown> = {}): Values {
  return Object.fromEntries(
    fields.map((field) => [field.name, show(field, params[field.name] ?? field.default)]),
  );
}

function show(field: Field, value: unknown): Value {
  switch (field.kind) {
    case 'boolean':
      return value === true;
    case 'choice':
      return value === undefined ? '' : JSON.stringify(value);
    case 'tuple': {
      const given: unknown[] = Array.isArray(value) ? value : [];
      return Array.from({ length: field.maxItems ?? 0 }, (_, i) => plain(given[i]));
    }
    case 'list':
      return Array.isArray(value) ? value.map(plain).join(field.item === 'string' ? '\n' : ', ') : '';
    case 'json':
      return value === undefined ? '' : JSON.stringify(value);
    case 'integer':
    case 'number':
    case 'string':
      return plain(value);
  }
}

function plain(value: unknown): string {
  if (value === undefined || value === null) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** A value as JSON, or what is wrong with it. Neither for an empty field that needs nothing. */
export interface Encoded {
  json?: string;
  error?: string;
}

export function encode(field: Field, value: Value | undefined): Encoded {
  if (field.kind === 'boolean') return { json: String(value === true) };
  if (Array.isArray(value)) return encodeItems(field, value);
  const typed = typeof value === 'string' ? value : '';
  if (field.kind === 'list') return encodeItems(field, itemsIn(field, typed));
  if (typed.trim() === '' && !(field.kind === 'string' && field.default !== undefined)) {
    return field.required ? { error: 'Fill this in.' } : {};
  }
  if (field.kind === 'choice') return { json: typed };
  if (field.kind === 'json') return encodeJSON(typed);
  return encodeOne(field, field.kind === 'tuple' ? 'string' : field.kind, typed);
}

function encodeItems(field: Field, items: string[]): Encoded {
  if (items.every((item) => item.trim() === '') && !field.required && field.default === undefined) return {};
  if (field.kind === 'list') {
    const { minItems = 0, maxItems = Infinity } = field;
    if (items.length < minItems) return { error: `At least ${minItems} needed, there are ${items.length}.` };
    if (items.length > maxItems) return { error: `At most ${maxItems} allowed, there are ${items.length}.` };
  }
  const parts: string[] = [];
  for (const [i, item] of items.entries()) {
    const one =
      item.trim() === '' ? { error: 'Fill this in.' } : encodeOne(field, field.item ?? 'string', item);
    if (one.json === undefined) return { error: `Number ${i + 1}: ${one.error}` };
    parts.push(one.json);
  }
  return { json: `[${parts.join(',')}]` };
}

function itemsIn(field: Field, typed: string): string[] {
  const items = field.item === 'string' ? typed.split('\n') : typed.split(/[\s,;]+/);
  return items.map((item) => item.trim()).filter(Boolean);
}

function encodeOne(field: Field, kind: 'integer' | 'number' | 'string', typed: string): Encoded {
  if (kind === 'string') return encodeText(field, typed);
  const json = numeral(typed, kind === 'integer');
  if (json === undefined)
    return { error: kind === 'integer' ? 'A whole number is needed.' : 'A number is needed.' };
  const { minimum = -Infinity, maximum = Infinity } = field;
  const value = Number(json);
  if (value < minimum) return { error: `At least ${grouped(minimum)}.` };
  if (value > maximum) return { error: `At most ${grouped(maximum)}.` };
  return { json };
}

function encodeText(field: Field, typed: string): Encoded {
  const length = [...typed].length;
  const { minLength = 0, maxLength = Infinity } = field;
  if (length < minLength) return { error: `At least ${minLength} characters.` };
  if (length > maxLength) return { error: `At most ${maxLength} characters.` };
  return { json: JSON.stringify(typed) };
}

function encodeJSON(typed: string): Encoded {
  try {
    JSON.parse(typed);
    return { json: typed };
  } catch {
    return { error: 'This is not JSON.' };
  }
}

/** A number as people type it ("1,000,000", "1e6", "+5", "007"), as JSON; undefined if it is none. */
export function numeral(typed: string, integer: boolean): string | undefined {
  let s = typed.trim().replace(/[\s_']/g, '');
  if (/^[+-]?\d{1,3}(,\d{3})+(\.|$)/.test(s)) s = s.replaceAll(',', '');
  const parts = /^([+-]?)0*(\d*)(\.\d*)?([eE][+-]?\d+)?$/.exec(s);
  if (!parts || !/\d/.test(s.replace(/[eE].*$/, ''))) return undefined;
  const [, sign = '', digits = '', fraction = '', exponent = ''] = parts;
  const decimals = fraction.replace(/\.?0*$/, '');
  const json = (sign === '-' ? '-' : '') + (digits || '0') + decimals + exponent;
  if (!Number.isFinite(Number(json))) return undefined;
  if (!integer || (decimals === '' && exponent === '')) return json;
  // Decoders of integers take no exponent.
  return Number.isSafeInteger(Number(json)) ? String(Number(json)) : undefined;
}

function grouped(n: number): string {
  return Math.abs(n) >= 1 && Number.isInteger(n) ? n.toLocaleString('en') : String(n);
}

/** All parameters as JSON, and what is wrong, by the field's name. */
export function encodeAll(fields: Field[], values: Values): { json: string; errors: Record<string, string> } {
  const errors: Record<string, string> = {};
  const parts: string[] = [];
  for (const field of fields) {
    const { json, error } = encode(field, values[field.name]);
    if (error) errors[field.name] = error;
    if (json !== undefined) parts.push(`${JSON.stringify(field.name)}:${json}`);
  }
  return { json: `{${parts.join(',')}}`, errors };
}

/** What an example sets, in a few words. */
export function summary(fields: Field[], params: Record<string, unknown>): string {
  return Object.entries(params)
    .map(([name, value]) => {
      const title = fields.find((field) => field.name === name)?.title ?? name;
      return `${title} ${brief(value)}`;
    })
    .join(' · ');
}

function brief(value: unknown): string {
  if (typeof value === 'number') return grouped(value);
  return Array.isArray(value) ? value.map(plain).join(', ') : plain(value);
}

function object(value: unknown): Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Schema) : {};
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function num(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}
