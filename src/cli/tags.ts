/** `blobs tags`: the names under which blobs are kept. */
import { formatOf } from '../node/local.ts'
import { findTagOrHash } from '../node/tags.ts'
import { TagNotFoundError } from '../store/errors.ts'
import type { BlobFormat, TagQuery } from '../store/index.ts'
import { type Cli, type Context, examples, openHome } from './context.ts'
import { quoted, unwrapped } from './format.ts'

const DESCRIPTION = `Look after tags: names for blobs and collections. What a tag names is kept, with all files of a collection; what
none names is deleted by "blobs gc".`

const SET = `Name a blob or collection. It need not be there. A tag of this name is replaced; what it named is kept by its other tags only.`

const REMOVE = `Delete tags, and leave the blobs to "blobs gc". "blobs rm" deletes both at once.`

interface SetFlags {
  readonly format?: BlobFormat
}

export function tagsCommand({ program, run }: Cli): void {
  const tags = program
    .command('tags')
    .summary('list, set, rename and delete tags')
    .description(unwrapped(DESCRIPTION))
    .helpCommand(false)

  tags
    .command('list', { isDefault: true })
    .summary('list tags; the same as without a command')
    .description('List tags: what they name, whether it is a collection, and their names.')
    .option('--prefix <text>', 'only names that begin so')
    .option('--from <name>', 'only this name and those after it')
    .option('--to <name>', 'only names before this one')
    .addHelpText(
      'after',
      examples(
        ['blobs tags', 'all'],
        ['blobs tags --prefix backup/', 'those whose names begin so'],
        ['blobs tags --from 2026-01 --to 2026-07', 'a range of names'],
        ['blobs tags --json', 'events for scripts: tag']
      )
    )
    .action((query: TagQuery, command) => run(command, context => list(context, query)))

  const setting = tags.command('set')
  setting
    .summary('name a blob or collection')
    .description(unwrapped(SET))
    .argument('<name>', 'what to call it')
    .argument('<hash|ticket|tag>', 'what to name')
    .addOption(
      setting
        .createOption('--format <format>', 'what a hash names; tickets and tags say it themselves')
        .choices(['raw', 'hash_seq'])
    )
    .addHelpText(
      'after',
      examples(
        ['blobs tags set holidays 5abb6c4e…', 'a blob'],
        ['blobs tags set holidays photos', 'what "photos" names, under a second name']
      )
    )
    .action((name: string, target: string, flags: SetFlags, command) =>
      run(command, context => set(context, name, target, flags))
    )

  tags
    .command('rename')
    .summary('give a tag another name')
    .description('Give a tag another name. A tag that has the new name is replaced.')
    .argument('<old>', 'its name')
    .argument('<new>', 'its name from now on')
    .addHelpText('after', examples(['blobs tags rename photos photos-2026', 'nothing else changes']))
    .action((from: string, to: string, _, command) => run(command, context => rename(context, from, to)))

  tags
    .command('rm')
    .summary('delete tags, and leave the blobs')
    .description(unwrapped(REMOVE))
    .argument('<name...>', 'their names')
    .addHelpText('after', examples(['blobs tags rm photos', 'what it named goes with the next "blobs gc"']))
    .action((names: string[], _, command) => run(command, context => remove(context, names)))
}

async function list(context: Context, { prefix, from, to }: TagQuery): Promise<undefined> {
  const { output, signal } = context
  await using opened = await openHome(context)
  for await (const tag of opened.store.tags.list({ prefix, from, to, signal })) {
    const { name, hash, format } = tag
    output.result({ event: 'tag', name, hash, format }, `${hash}  ${format.padEnd(8)}  ${name}`)
  }
}

async function set(context: Context, name: string, target: string, flags: SetFlags): Promise<undefined> {
  const { output, signal } = context
  await using opened = await openHome(context)
  const { store } = opened
  const found = await findTagOrHash(store, target)
  const { hash } = found
  const format = flags.format ?? found.format ?? (await formatOf(store, hash, { signal }))
  await store.tags.set(name, { hash, format })
  output.result({ event: 'tag', name, hash, format }, `${hash}  ${format.padEnd(8)}  ${name}`)
}

async function rename(context: Context, from: string, to: string): Promise<undefined> {
  const { output } = context
  await using opened = await openHome(context)
  await opened.store.tags.rename(from, to)
  output.result({ event: 'renamed', from, to }, `${quoted(from)} is now ${quoted(to)}`)
}

async function remove(context: Context, names: readonly string[]): Promise<undefined> {
  const { output } = context
  await using opened = await openHome(context)
  for (const name of names) {
    if (!(await opened.store.tags.delete(name))) throw new TagNotFoundError(name)
    output.result({ event: 'untagged', name }, `deleted the tag ${quoted(name)}`)
  }
}
