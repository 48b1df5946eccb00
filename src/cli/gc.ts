/** `blobs gc`: deletes what nothing needs any more. */
import { collectGarbage } from '../node/gc/collect.ts'
import type { GcFlags } from './commands/gc.ts'
import type { Context } from './context.ts'
import { formatBytes, plural } from './format.ts'
import { openHome } from './open-home.ts'

const DAY_MS = 24 * 60 * 60 * 1000

export async function gc(context: Context, { dryRun = false, partialDays }: GcFlags): Promise<undefined> {
  const { output, signal } = context
  await using opened = await openHome(context)
  const { store, config } = opened
  const report = await collectGarbage(store, {
    signal,
    isDryRun: dryRun,
    partialAgeMs: (partialDays ?? config.gc.partialDays) * DAY_MS,
    onGarbage: ({ hash, bytes, isPartial }) => {
      const event = { event: 'garbage', hash, bytes, isPartial }
      if (output.isJson) output.result(event, '')
      else if (dryRun) output.result(event, `${hash}  ${formatBytes(bytes)}${isPartial ? '  partial' : ''}`)
      else output.detail(`deleted ${hash}, ${formatBytes(bytes)}`)
    }
  })
  const { blobs, bytes, keptBlobs, keptBytes } = report
  output.result(
    { event: 'collected', dryRun, ...report },
    `${dryRun ? 'would delete' : 'deleted'} ${plural(blobs, 'blob')}, ${formatBytes(bytes)}; ` +
      `${plural(keptBlobs, 'blob')}, ${formatBytes(keptBytes)}, ${keptBlobs === 1 ? 'stays' : 'stay'}`
  )
}
