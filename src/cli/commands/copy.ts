/** How `blobs copy` is called. */
import { type Cli, examples } from '../context.ts'
import { unwrapped } from '../format.ts'

const DESCRIPTION = `Bring all blobs and tags of one store to another: from plain files to a bucket, and back. Nothing is
removed from either.

A store is named by its home folder, or as legacy:FOLDER (plain files), filesystem:FOLDER (objects in a folder) or
s3://key:secret@host:port/bucket[/prefix] (objects in a bucket; without keys those of the environment are used). A home on
the same bucket or folder learns by "blobs recover" of what was copied past it. A source that is named without a home is only
read, so keys that may read and list are enough; a home may mend, or set aside, what turns out to be damaged in it.

Every byte is checked against its hash on the way. Parts of blobs are copied too. What the target holds already is not read:
when it is interrupted, run the same again to go on. A tag that means something else in the target is left as it is, unless
with --replace-tags. The exit code is 7 when a blob was damaged, and 1 when something else was left out.`

export interface CopyFlags {
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
    .action((flags: CopyFlags, command) =>
      run(command, async context => (await import('../copy.ts')).copy(context, flags))
    )
}
