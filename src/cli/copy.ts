/** `blobs copy`: brings blobs and tags from one store to another. */
import { type CopyProblem, type CopyReport, copyStore } from '../node/copy-store.ts'
import { openSpec } from '../node/store-spec.ts'
import type { CopyFlags } from './commands/copy.ts'
import type { Context } from './context.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { formatBytes, plural, quoted } from './format.ts'
import { WorkView } from './work-view.ts'

export async function copy(
  { output, signal }: Context,
  { from, to, replaceTags }: CopyFlags
): Promise<number> {
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
