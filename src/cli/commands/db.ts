/** How `blobs db` is called. */
import { InvalidArgumentError } from 'commander'
import { type Cli, examples } from '../context.ts'
import { unwrapped } from '../format.ts'

const DESCRIPTION = `Look after the database in which a store of type "filesystem" or "s3" notes what is in its storage.

There is rarely a need to: whatever opens the store brings the database up to date. All that is in it can be made anew from
the storage, by "blobs recover".`

const MIGRATE = `Bring the database to the schema of this version, and make it if there is none.`

const ROLLBACK = `Take back the last migrations, so that an older version of the program can use the database. Stop what
uses it before. This version would bring it up to date again as soon as it opens it.

Taking back the first migration drops all that is in the database; --yes says that this is meant.`

export interface DbFlags {
  readonly dbPath?: string
}

export interface RollbackFlags extends DbFlags {
  readonly steps: number
  readonly yes?: boolean
}

export function dbCommand({ program, run }: Cli): void {
  const db = program
    .command('db')
    .summary("look after the database of the store's metadata")
    .description(unwrapped(DESCRIPTION))
    .helpCommand(false)
  const command = (name: string, summary: string, description = summary) =>
    db
      .command(name)
      .summary(summary)
      .description(unwrapped(description))
      .option('--db-path <file>', "the database (default: that of the home's configuration)")

  command('status', 'tell which migrations were applied, and whether the database is undamaged')
    .addHelpText(
      'after',
      examples(
        ['blobs db status', "the home's database"],
        ['blobs db status --db-path /data/blobs.db', 'another one'],
        ['blobs db status --json', 'events for scripts: migration (one each), database']
      )
    )
    .action((flags: DbFlags, self) =>
      run(self, async context => (await import('../db.ts')).status(context, flags))
    )

  command('migrate', 'bring the database up to date', MIGRATE)
    .addHelpText(
      'after',
      examples(
        ['blobs db migrate', 'before a new version is started'],
        ['blobs db migrate --json', 'events for scripts: migrated (one each), database']
      )
    )
    .action((flags: DbFlags, self) =>
      run(self, async context => (await import('../db.ts')).migrate(context, flags))
    )

  command('rollback', 'take back the last migrations', ROLLBACK)
    .option('--steps <count>', 'how many', parseSteps, 1)
    .option('--yes', 'also when this drops all that is in the database')
    .addHelpText(
      'after',
      examples(
        ['blobs db rollback', 'the last one'],
        ['blobs db rollback --steps 2', 'the last two'],
        ['blobs db rollback --json', 'events for scripts: rolled_back (one each), database']
      )
    )
    .action((flags: RollbackFlags, self) =>
      run(self, async context => (await import('../db.ts')).rollback(context, flags))
    )
}

function parseSteps(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('A number of migrations is meant, such as 1.')
}
