/** `blobs copy`: brings blobs and tags from one store to another. */
import { type CopyProblem, type CopyReport, copyStore } from '../node/copy-store.ts'
import { openSpec } from '../node/store-spec.ts'
import { type Cli, type Context, examples } from './context.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { formatBytes, plural, quoted, unwrapped } from './format.ts'
import { WorkView } from './work-view.ts'

const DESCRIPTION = `Bring all blobs and tags of one store to another: from plain files to a bucket, and back. Nothing is
removed from either.

A store is named by its home folder, or as legacy:FOLDER (plain files), filesystem:FOLDER (objects in a folder) or
s3://key:secret@host:port/bucket[/prefix] (objects in a bucket; without keys those of the environment are used). A home on
the same bucket or folder learns by "blobs recover" of what was copied past it. A source that is named without a home is only
read, so keys that may read and list are enough; a home may mend, or set aside, what turns out to be damaged in it.

Every byte is checked against its hash on the way. Parts of blobs are copied too. What the target holds already is not read:
when it is interrupted, run the same again to go on. A tag that means something else in the target is left as it is, unless
with --replace-tags. The exit code is 7 when a blob was damaged, and 1 when something else was left out.`

interface CopyFlags {
  readonly from: string
  readonly to: string
  readonly replaceTags?: boolean
}

export function copyCommand({ program, run }: Cli): void {
  program
    .command('copy')
    .summary('bring blobs and tags from one store to another')
    .description(unwrapped(DESCRIPTION))
    .requiredOption('--from <store>', 'a home folder, legacy:FOLDER, filesystem:FOLDER or s3://…')
    .requiredOption('--to <store>', 'the same')
    .option('--replace-tags', 'let tags mean what they mean in the source')
    .addHelpText(
      'after',
      examples(
        ['blobs copy --from ~/.blobs --to ./node-s3', 'between two homes'],
        ['blobs copy --from legacy:./blobs --to s3://localhost:9000/blobs', 'without homes'],
        ['blobs copy --json --from a --to b', 'events for scripts: progress, problem (one each), copied']
      )
    )
    .action((flags: CopyFlags, command) => run(command, context => copy(context, flags)))
}

async function copy({ output, signal }: Context, { from, to, replaceTags }: CopyFlags): Promise<number> {
  const onWarning = (text: string): void => output.warn(text)
  // The target first: what is wrong with it is known before the source's objects are listed.
  await using target = await openSpec(to, { isSource: false, onWarning, signal })
  await using source = await openSpec(from, { isSource: true, onWarning, signal })
  output.note(`from ${source.name} to ${target.name}`)
  const view = new WorkView(output, 'copying')
  try {
    const report = await copyStore(source.store, target.store, {
      signal,
      replaceTags,
      onProgress: work => view.update(work),
      onProblem: problem => {
        view.end()
        tellProblem(output, problem)
      }
    })
    view.end()
    tellReport(output, report)
    return exitCodeOf(report)
  } catch (error) {
    view.end()
    if (signal.aborted) output.note('what was copied is kept: run the same again to go on')
    throw error
  } finally {
    view.end()
  }
}

function tellProblem(output: Context['output'], { kind, what, message }: CopyProblem): void {
  output.result({ event: 'problem', kind, what, message })
  if (!output.isJson)
    output.warn(`${kind} ${kind === 'tag' ? quoted(what) : what} was not copied: ${message}`)
}

function tellReport(output: Context['output'], report: CopyReport): void {
  const { copied, present, partial, damaged, conflicting, tooLarge, tags, tagsKept, bytes } = report
  const counts = [
    `copied ${plural(copied, 'blob')} (${formatBytes(bytes)}) and ${plural(tags, 'tag')}`,
    ...(partial > 0 ? [`${partial} in part, as they are in the source`] : []),
    ...(present > 0 ? [`${present} had been there`] : []),
    ...(damaged > 0 ? [`${damaged} damaged`] : []),
    ...(conflicting > 0 ? [`${conflicting} of another size in the target`] : []),
    ...(tooLarge > 0 ? [`${tooLarge} larger than the target takes`] : []),
    ...(tagsKept > 0 ? [`${plural(tagsKept, 'tag')} kept as in the target`] : [])
  ]
  output.result({ event: 'copied', ...report }, counts.join(', '))
}

function exitCodeOf({ damaged, conflicting, tooLarge, tagsKept }: CopyReport): ExitCode {
  if (damaged > 0) return EXIT.badData
  return conflicting + tooLarge + tagsKept > 0 ? EXIT.failed : EXIT.ok
}
