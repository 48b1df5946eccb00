/** `blobs recover`: makes the database of the home's store anew. */
import { requireHome } from '../node/home.ts'
import { openObjectStore } from '../node/open-store.ts'
import type { RecoveryReport } from '../store/object/index.ts'
import type { RecoverFlags } from './commands/recover.ts'
import type { Context } from './context.ts'
import { EXIT } from './exit-codes.ts'
import { formatBytes, plural } from './format.ts'
import { readConfig } from './open-home.ts'
import { WorkView } from './work-view.ts'

export async function recover(context: Context, { fast, restart }: RecoverFlags): Promise<number> {
  const { home, output, signal } = context
  await requireHome(home)
  const config = await readConfig(context)
  await using store = await openObjectStore(config, home, { onWarning: text => output.detail(text) })
  const view = new WorkView(output, 'recovering')
  try {
    const report = await store.recoverFromStorage({
      fast,
      restart,
      signal,
      onProgress: ({ blobs, bytes, position }) => view.update({ blobs, bytes, share: position })
    })
    view.end()
    tell(context, report)
    return report.corrupt === 0 && report.failed === 0 ? EXIT.ok : EXIT.badData
  } catch (error) {
    view.end()
    if (signal.aborted) output.note('what was found so far is kept: run the same again to go on')
    throw error
  } finally {
    view.end()
  }
}

function tell({ output }: Context, report: RecoveryReport): void {
  const {
    complete,
    partial,
    repaired,
    corrupt,
    failed,
    orphaned,
    lost,
    tags,
    bytesRead,
    quarantined,
    orphans
  } = report
  for (const { key, to } of quarantined) {
    output.result({ event: 'quarantined', key, to }, `${key} is not what its name says; it is now ${to}`)
  }
  for (const key of orphans) output.result({ event: 'orphaned', key }, `${key} belongs to nothing`)
  output.result(
    { event: 'recovered', complete, partial, repaired, corrupt, failed, orphaned, lost, tags, bytesRead },
    [
      `complete  ${plural(complete, 'blob')}`,
      `partial   ${plural(partial, 'blob')}`,
      `tags      ${tags}`,
      `repaired  ${repaired}`,
      `corrupt   ${corrupt}`,
      ...(failed > 0 ? [`failed    ${plural(failed, 'blob')} could not be read; see with --verbose`] : []),
      `orphaned  ${orphaned}`,
      `lost      ${lost}`,
      `read      ${formatBytes(bytesRead)}`
    ].join('\n')
  )
}
