/** `blobs tags`: the names under which blobs are kept. */
import { formatOf } from '../node/local.ts'
import { findTagOrHash } from '../node/tags.ts'
import { TagNotFoundError } from '../store/errors.ts'
import type { TagQuery } from '../store/index.ts'
import type { SetFlags } from './commands/tags.ts'
import type { Context } from './context.ts'
import { quoted } from './format.ts'
import { openHome } from './open-home.ts'

export async function list(context: Context, { prefix, from, to }: TagQuery): Promise<undefined> {
  const { output, signal } = context
  await using opened = await openHome(context)
  for await (const tag of opened.store.tags.list({ prefix, from, to, signal })) {
    const { name, hash, format } = tag
    output.result({ event: 'tag', name, hash, format }, `${hash}  ${format.padEnd(8)}  ${name}`)
  }
}

export async function set(
  context: Context,
  name: string,
  target: string,
  flags: SetFlags
): Promise<undefined> {
  const { output, signal } = context
  await using opened = await openHome(context)
  const { store } = opened
  const found = await findTagOrHash(store, target)
  const { hash } = found
  const format = flags.format ?? found.format ?? (await formatOf(store, hash, { signal }))
  await store.tags.set(name, { hash, format })
  output.result({ event: 'tag', name, hash, format }, `${hash}  ${format.padEnd(8)}  ${name}`)
}

export async function rename(context: Context, from: string, to: string): Promise<undefined> {
  const { output } = context
  await using opened = await openHome(context)
  await opened.store.tags.rename(from, to)
  output.result({ event: 'renamed', from, to }, `${quoted(from)} is now ${quoted(to)}`)
}

export async function remove(context: Context, names: readonly string[]): Promise<undefined> {
  const { output } = context
  await using opened = await openHome(context)
  for (const name of names) {
    if (!(await opened.store.tags.delete(name))) throw new TagNotFoundError(name)
    output.result({ event: 'untagged', name }, `deleted the tag ${quoted(name)}`)
  }
}
