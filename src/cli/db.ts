/** `blobs db`: looks after the database of a store that keeps its blobs in object storage. */
import { resolve } from 'node:path'
import { requireHome } from '../node/home.ts'
import { exists } from '../store/folders.ts'
import type { Migration } from '../store/object/metadata/migrations-folder.ts'
import { Schema } from '../store/object/metadata/schema.ts'
import type { DbFlags, RollbackFlags } from './commands/db.ts'
import type { Context } from './context.ts'
import { plural } from './format.ts'
import { readConfig } from './open-home.ts'

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

export async function status(context: Context, flags: DbFlags): Promise<undefined> {
  const { output } = context
  const path = await databasePath(context, flags)
  if (!(await exists(path))) {
    const event = { event: 'database', path, state: 'missing', applied: 0, pending: 0 }
    output.result(event, `database ${path} is not there yet; what opens the store first makes it`)
    return
  }
  using schema = Schema.open(path)
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

export async function migrate(context: Context, flags: DbFlags): Promise<undefined> {
  using schema = Schema.open(await databasePath(context, flags))
  tellEach(context, 'migrated', 'applied', schema.migrate())
  tellState(context, schema)
}

export async function rollback(
  context: Context,
  { steps, yes, ...flags }: RollbackFlags
): Promise<undefined> {
  const path = await databasePath(context, flags)
  if (!(await exists(path))) throw new NoDatabaseError(`there is no database ${path}`)
  using schema = Schema.open(path)
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
