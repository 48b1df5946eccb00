/** `blobs db`: looks after the database of a store that keeps its blobs in object storage. */
import { resolve } from 'node:path'
import { InvalidArgumentError } from 'commander'
import { requireHome } from '../node/home.ts'
import { exists } from '../store/folders.ts'
import type { Migration } from '../store/object/metadata/migrations-folder.ts'
import type { Schema } from '../store/object/metadata/schema.ts'
import { type Cli, type Context, examples, readConfig } from './context.ts'
import { plural, unwrapped } from './format.ts'

const DESCRIPTION = `Look after the database in which a store of type "filesystem" or "s3" notes what is in its storage.

There is rarely a need to: whatever opens the store brings the database up to date. All that is in it can be made anew from
the storage, by "blobs recover".`

const MIGRATE = `Bring the database to the schema of this version, and make it if there is none.`

const ROLLBACK = `Take back the last migrations, so that an older version of the program can use the database. Stop what
uses it before. This version would bring it up to date again as soon as it opens it.

Taking back the first migration drops all that is in the database; --yes says that this is meant.`

/** There is no database here. */
export class NoDatabaseError extends Error {
  override readonly name = 'NoDatabaseError'
  readonly code = 'ERR_NO_DATABASE'
}

/** What is asked for cannot be undone, and it was not said that it is meant. */
export class NotConfirmedError extends Error {
  override readonly name = 'NotConfirmedError'
  readonly code = 'ERR_NOT_CONFIRMED'
}

interface DbFlags {
  readonly dbPath?: string
}

interface RollbackFlags extends DbFlags {
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
    .action((flags: DbFlags, self) => run(self, context => status(context, flags)))

  command('migrate', 'bring the database up to date', MIGRATE)
    .addHelpText(
      'after',
      examples(
        ['blobs db migrate', 'before a new version is started'],
        ['blobs db migrate --json', 'events for scripts: migrated (one each), database']
      )
    )
    .action((flags: DbFlags, self) => run(self, context => migrate(context, flags)))

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
    .action((flags: RollbackFlags, self) => run(self, context => rollback(context, flags)))
}

async function status(context: Context, flags: DbFlags): Promise<undefined> {
  const { output } = context
  const path = await databasePath(context, flags)
  if (!(await exists(path))) {
    const event = { event: 'database', path, state: 'missing', applied: 0, pending: 0 }
    output.result(event, `database ${path} is not there yet; what opens the store first makes it`)
    return
  }
  using schema = await openSchema(path)
  const { applied, pending } = schema.status()
  schema.check()
  for (const { version, name, appliedAt } of applied) {
    const at = new Date(appliedAt).toISOString()
    output.result(
      { event: 'migration', version, name, state: 'applied', appliedAt },
      `${version}  ${name}  ${at}`
    )
  }
  for (const { version, name } of pending) {
    output.result(
      { event: 'migration', version, name, state: 'pending', appliedAt: null },
      `${version}  ${name}  pending`
    )
  }
  tellState(context, schema)
}

async function migrate(context: Context, flags: DbFlags): Promise<undefined> {
  using schema = await openSchema(await databasePath(context, flags))
  tellEach(context, 'migrated', 'applied', schema.migrate())
  tellState(context, schema)
}

async function rollback(context: Context, { steps, yes, ...flags }: RollbackFlags): Promise<undefined> {
  const path = await databasePath(context, flags)
  if (!(await exists(path))) throw new NoDatabaseError(`there is no database ${path}`)
  using schema = await openSchema(path)
  const applied = schema.status().applied.length
  if (applied > 0 && steps >= applied && !yes) {
    throw new NotConfirmedError(
      `this takes back the first migration, which drops all that is in ${path}; say --yes if it is meant ` +
        '("blobs recover" can then make it anew from the storage)'
    )
  }
  tellEach(context, 'rolled_back', 'took back', schema.rollback(steps))
  tellState(context, schema)
}

/** SQLite is loaded only when a command needs it: all others start faster. */
async function openSchema(path: string): Promise<Schema> {
  const { Schema } = await import('../store/object/metadata/schema.ts')
  return Schema.open(path)
}

function tellEach({ output }: Context, event: string, did: string, migrations: readonly Migration[]): void {
  for (const { version, name } of migrations) {
    output.result({ event, version, name }, `${did} ${version}  ${name}`)
  }
}

function tellState({ output }: Context, schema: Schema): void {
  const { applied, pending } = schema.status()
  const state = pending.length === 0 ? 'current' : 'behind'
  const told = pending.length === 0 ? 'is up to date' : `lacks ${plural(pending.length, 'migration')}`
  const event = {
    event: 'database',
    path: schema.path,
    state,
    applied: applied.length,
    pending: pending.length
  }
  output.result(event, `database ${schema.path} ${told}`)
}

/** @throws NoDatabaseError when the home's store has none */
async function databasePath(context: Context, { dbPath }: DbFlags): Promise<string> {
  if (dbPath !== undefined) return resolve(dbPath)
  const { home } = context
  await requireHome(home)
  const { blobStore } = await readConfig(context)
  if ('dbPath' in blobStore && typeof blobStore.dbPath === 'string') return resolve(home, blobStore.dbPath)
  throw new NoDatabaseError(
    `the store of ${home} is of type "${blobStore.type}", which has no database; name one with --db-path`
  )
}

function parseSteps(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('A number of migrations is meant, such as 1.')
}
