/** `blobs status`: what is held of some blobs. */

import { bytesWithin } from '../bao/geometry.ts'
import { parseWanted } from '../node/provider-list.ts'
import { tagsOf } from '../node/tags.ts'
import { BlobNotFoundError } from '../store/errors.ts'
import type { BlobInfo } from '../store/index.ts'
import { type Cli, type Context, examples, openHome } from './context.ts'
import { formatBytes, unwrapped } from './format.ts'

const DESCRIPTION = `Tell what the home's store holds of a blob: its size, which chunks (of 1024 bytes) are there, and its tags.`

/** A blob's status, for scripts. */
export interface StatusFields {
  readonly hash: string
  readonly state: 'complete' | 'partial'
  /** Bytes; of a partial blob as claimed, unless `isSizeProven`. */
  readonly size: number
  readonly isSizeProven: boolean
  /** Bytes that are held. */
  readonly held: number
}

export function describeStatus({ hash, status }: Pick<BlobInfo, 'hash' | 'status'>): StatusFields {
  const { state, size } = status
  const isComplete = state === 'complete'
  return {
    hash: hash.toString(),
    state,
    size,
    isSizeProven: isComplete || status.isSizeProven,
    held: isComplete ? size : bytesWithin(status.ranges, size)
  }
}

export function statusCommand({ program, run }: Cli): void {
  program
    .command('status')
    .summary('tell what is held of a blob')
    .description(unwrapped(DESCRIPTION))
    .argument('<hash...>', 'hashes or tickets')
    .addHelpText(
      'after',
      examples(
        ['blobs status 5abb6c4e…', 'size, ranges of chunks, tags'],
        ['blobs status --json 5abb6c4e…', 'events for scripts: status']
      )
    )
    .action((hashes: string[], _, command) => run(command, context => status(context, hashes)))
}

async function status(context: Context, texts: readonly string[]): Promise<undefined> {
  const { output, signal } = context
  const hashes = texts.map(text => parseWanted(text).hash)
  await using opened = await openHome(context)
  for (const hash of hashes) {
    const found = await opened.store.status(hash, { signal })
    if (found.state === 'absent') throw new BlobNotFoundError(hash)
    const fields = describeStatus({ hash, status: found })
    const tags = (await tagsOf(opened.store, hash, { signal })).map(({ name }) => name)
    const ranges = found.state === 'complete' ? 'all' : found.ranges.toString()
    const proven = fields.isSizeProven ? '' : ', as somebody claims'
    const held = found.state === 'complete' ? '' : `${formatBytes(fields.held)} in `
    output.result(
      { event: 'status', ...fields, ranges, tags },
      [
        `hash    ${hash}`,
        `state   ${fields.state}`,
        `size    ${fields.size} (${formatBytes(fields.size)}${proven})`,
        `held    ${held}chunks ${ranges}`,
        `tags    ${tags.join(', ') || 'none'}`
      ].join('\n')
    )
  }
}
