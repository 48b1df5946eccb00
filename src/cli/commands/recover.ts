/** How `blobs recover` is called. */
import { type Cli, examples } from '../context.ts'
import { unwrapped } from '../format.ts'

const DESCRIPTION = `Make the database of the home's store anew from what is in its bucket or folder: after the database was
lost, or when others have written there.

Every byte is read and checked against its hash; with --fast the data is believed where the sizes are right. What is missing
beside good data is made again. What is not what its name says is never served and never deleted: it is moved to quarantine/,
and told; what can be proven of it stays as a part of the blob. Blobs, parts of blobs and tags are all back afterwards.

When it is interrupted, run it again: it goes on where it was. A node may serve the home meanwhile, but should fetch nothing.
The exit code is 7 when anything was damaged or could not be read.`

export interface RecoverFlags {
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
    .action((flags: RecoverFlags, command) =>
      run(command, async context => (await import('../recover.ts')).recover(context, flags))
    )
}
