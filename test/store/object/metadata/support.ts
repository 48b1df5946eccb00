/** Databases that are removed after the test, and hashes to put into them. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach } from 'vitest'
import { Metadata, type MetadataOptions } from '../../../../src/store/object/metadata/index.ts'

export { hashOf } from './hashes.ts'

const cleanups: (() => void)[] = []

afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup()
})

/** A folder that is removed after the test. */
export function testFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'metadata-'))
  cleanups.push(() => rmSync(folder, { recursive: true }))
  return folder
}

/** Path of a database that is not there yet. */
export function testPath(): string {
  return join(testFolder(), 'blobs.db')
}

/** Opens a database that is closed after the test. */
export function testMetadata(path = ':memory:', options?: MetadataOptions): Metadata {
  const metadata = Metadata.open(path, options)
  cleanups.push(() => metadata.close())
  return metadata
}

/** Looks at a database without what is tested, or changes it behind its back. */
export function raw<T>(path: string, action: (database: Database.Database) => T): T {
  const database = new Database(path)
  try {
    return action(database)
  } finally {
    database.close()
  }
}
