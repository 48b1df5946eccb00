/** The config file of a new home: each key with what it means and its default, commented out. */
import { stringify } from 'smol-toml'
import type { z } from 'zod'
import { CONFIG_SHAPES, parseConfig } from './config.ts'
import { SPELLINGS } from './spelling.ts'

const HEAD = `# Configuration of a blobs node. Each line below shows a key with its default: remove the "#" to change it.
`

/** The text of the file. Reading it as it is gives all defaults. */
export function configTemplate(): string {
  const { blobStore, limits, ...top } = parseConfig({}, 'defaults')
  return [
    HEAD,
    section('', top),
    `\n# [${SPELLINGS.toml('blobStore')}]`,
    section('blobStore', blobStore),
    '\n# [limits]',
    section('limits', limits),
    ''
  ].join('\n')
}

function section(path: keyof typeof CONFIG_SHAPES, defaults: Readonly<Record<string, unknown>>): string {
  const shape: Readonly<Record<string, z.ZodType>> = CONFIG_SHAPES[path]
  return Object.entries(defaults)
    .flatMap(([key, value]) => [
      `# ${shape[key]?.description ?? ''}`,
      `# ${stringify({ [SPELLINGS.toml(key)]: value }).trim()}`
    ])
    .join('\n')
}
