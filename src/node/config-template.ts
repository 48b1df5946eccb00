/** The config file of a new home: each key with what it means and its default, commented out. */
import { stringify } from 'smol-toml'
import type { z } from 'zod'
import { CONFIG_SHAPES, parseConfig } from './config.ts'
import { SPELLINGS } from './spelling.ts'
import { STORE_SHAPES, type StoreInput, storeSchema } from './store-config.ts'
import { STORE_TYPES, type StoreType } from './store-types.ts'

const HEAD = `# Configuration of a blobs node. Each line below shows a key with its default, or with an example where there is
# none: remove the "#" to change it.
`

const STORE_HEAD = `
# Where blobs are kept. There are three forms of this section, of which a file has one; none means "legacy". To move what is
# there from one store to another: blobs copy --help`

/** What stands in the template for the keys that have no default. */
const EXAMPLES: Readonly<Record<StoreType, StoreInput>> = {
  legacy: { type: 'legacy', maxSize: 1_000_000_000_000 },
  filesystem: { type: 'filesystem', maxSize: 1_000_000_000_000 },
  s3: {
    type: 's3',
    endpoint: 'http://localhost:9000',
    accessKey: 'minioadmin',
    secretKey: 'minioadmin',
    sessionToken: 'of-keys-that-are-lent',
    bucket: 'blobs',
    pathStyle: true,
    maxSize: 1_000_000_000_000
  }
}

type Values = Readonly<Record<string, unknown>>

/**
 * The text of the file.
 *
 * @param store what it says about the store, as it is spelt in code: nothing else is in force. Default: all is commented out,
 *   and reading the file gives all defaults
 */
export function configTemplate(store?: StoreInput): string {
  const { blobStore: _, gc, push, limits, ...top } = parseConfig({}, 'defaults')
  return [
    HEAD,
    section(CONFIG_SHAPES[''], top),
    STORE_HEAD,
    ...STORE_TYPES.map(type => storeSection(type, store)),
    '\n# [gc]',
    section(CONFIG_SHAPES.gc, gc),
    '\n# [push]',
    section(CONFIG_SHAPES.push, push),
    '\n# [limits]',
    section(CONFIG_SHAPES.limits, limits),
    ''
  ].join('\n')
}

/** One form of the section; in force when it is the store's. */
function storeSection(type: StoreType, store: StoreInput | undefined): string {
  const given = store !== undefined && (store.type ?? 'legacy') === type ? { ...store, type } : {}
  const header = `[${SPELLINGS.toml('blobStore')}]`
  return [
    Object.keys(given).length === 0 ? `\n# ${header}` : `\n${header}`,
    section(STORE_SHAPES[type], storeSchema.parse(EXAMPLES[type]), given)
  ].join('\n')
}

/** @param given what is in force */
function section(shape: Readonly<Record<string, z.ZodType>>, defaults: Values, given: Values = {}): string {
  return Object.entries(shape)
    .filter(([key]) => key in defaults)
    .flatMap(([key, { description }]) => [
      `# ${description ?? ''}`,
      given[key] === undefined ? `# ${assignment(key, defaults[key])}` : assignment(key, given[key])
    ])
    .join('\n')
}

function assignment(key: string, value: unknown): string {
  return stringify({ [SPELLINGS.toml(key)]: value }).trim()
}
