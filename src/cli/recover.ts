/** `blobs recover`: makes the database of the home's store anew. */
import { requireHome } from '../node/home.ts'
import { openObjectStore } from '../node/open-store.ts'
import type { RecoveryReport } from '../store/object/index.ts'
import { type Cli, type Context, examples, readConfig } from './context.ts'
import { EXIT } from './exit-codes.ts'
import { formatBytes, plural, unwrapped } from './format.ts'
import { WorkView } from './work-view.ts'

const DESCRIPTION = `Make the database of the home's store anew from what is in its bucket or folder: after the database was
lost, or when others have written there.

Every byte is read and checked against its hash; with --fast the data is believed where the sizes are right. What is missing
beside good data is made again. What is not what its name says is never served and never deleted: it is moved to quarantine/,
and told; what can be proven of it stays as a part of the blob. Blobs, parts of blobs and tags are all back afterwards.

When it is interrupted, run it again: it goes on where it was. A node may serve the home meanwhile, but should fetch nothing.
The exit code is 7 when anything was damaged or could not be read.`

interface RecoverFlags {
  readonly fast?: boolean
  readonly restart?: boolean
}

export function recoverCommand({ program, run }: Cli): void {
  program
    .command('recover')
    .summary("make the database of the home's store anew")
    .description(unwrapped(DESCRIPTION))
    .option('--fast', 'do not read the data of blobs')
    .option('--restart', 'begin at the beginning, also when an earlier run was interrupted')
    .addHelpText(
      'after',
      examples(
        ['blobs recover', 'check everything'],
        ['blobs recover --fast', 'of a large bucket that is trusted'],
        [
          'blobs recover --json',
          'events for scripts: progress, quarantined and orphaned (one each), recovered'
        ]
      )
    )
    .action((flags: RecoverFlags, command) => run(command, context => recover(context, flags)))
}

async function recover(context: Context, { fast, restart }: RecoverFlags): Promise<number> {
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
