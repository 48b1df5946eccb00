/** How `blobs export` is called. */
import type { BlobFormat, ExportMode } from '../../store/index.ts'
import { type Cli, examples } from '../context.ts'
import { unwrapped } from '../format.ts'

const DESCRIPTION = `Write a blob to a file, or a collection to a folder, from what is in the home's store. Nobody is asked.

Every byte is checked; nothing is overwritten, and what is written appears under its name only when it is whole. -o NAME names
the file or folder, -o FOLDER/ (a slash at the end) the folder it goes into under its own name.

Of a collection that is not all there, --partial writes the files that are complete, and lists the others. It ends with 0
when there was any to write, with 3 when there was none.

--mode says how. copy: the files have bytes of their own. link: hard links to the store's own files, which take no room; only
with --store legacy, and on its file system. Such a file and the store share their bytes: it is read-only, and whoever changes
it all the same damages the blob. reflink: clones, which take no room until they are changed; only with --store legacy,
where its file system has them (Btrfs, XFS, APFS). move: out of the store, with the tag; what other tags hold is not moved, unless with --force. Where a mode
is not possible nothing is written, and the message says why.`

export interface ExportFlags {
  readonly output?: string
  readonly partial?: boolean
  readonly mode: ExportMode
  readonly force?: boolean
  readonly format?: BlobFormat
}

export function exportCommand({ program, run }: Cli): void {
  const command = program.command('export')
  command
    .summary('write what is in the home to files')
    .description(unwrapped(DESCRIPTION))
    .argument('<tag|hash|ticket>', 'the name of a tag, a hash, or a ticket, whose node is not asked')
    .option('-o, --output <path>', 'the file or folder to write to (default: its own name, in this folder)')
    .option('--partial', 'write the files that are complete, and leave out the others')
    .addOption(
      command
        .createOption('--mode <mode>', 'how the files are made')
        .choices(['copy', 'link', 'reflink', 'move'])
        .default('copy')
    )
    .option('--force', 'with --mode move: also what other tags hold')
    .addOption(
      command
        .createOption('--format <format>', 'what a hash names; a tag or ticket says it itself')
        .choices(['raw', 'hash_seq'])
    )
    .addHelpText(
      'after',
      examples(
        ['blobs export photos', 'as the folder "photos" in this one'],
        ['blobs export 5abb6c4e… -o a.iso', 'a blob, as a file of this name'],
        ['blobs export photos -o /mnt/ --partial', 'what has arrived so far, into /mnt'],
        ['blobs export a.iso -o a.iso --mode link', 'without a second copy on the disk'],
        ['blobs export photos --json', 'events for scripts: missing, exported']
      )
    )
    .action((what: string, flags: ExportFlags, self) =>
      run(self, async context => (await import('../export.ts')).exportTo(context, what, flags))
    )
}
