/** The migrations that come with the program: `migrations/{version}_{name}.up.sql`, each with its `.down.sql`. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { hashBytes } from '../../../bao/outboard.ts'
import { InvalidMigrationError } from './errors.ts'

const FILE = /^(\d{14})_([a-z0-9]+(?:_[a-z0-9]+)*)\.(up|down)\.sql$/

export interface Migration {
  /** When it was written, as 14 digits: they are applied in this order. */
  readonly version: string
  readonly name: string
  /** SQL. */
  readonly up: string
  /** SQL. */
  readonly down: string
  /** BLAKE3 of `up`, in hex, whatever ends its lines. */
  readonly checksum: string
}

/**
 * The folder of this package's migrations. It lies beside package.json, above this file, whether this is the source or what
 * was built of it.
 *
 * @throws InvalidMigrationError when it is not there
 */
export function defaultMigrationsFolder(): string {
  const start = dirname(fileURLToPath(import.meta.url))
  for (let folder = start; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json')) && existsSync(join(folder, 'migrations'))) {
      return join(folder, 'migrations')
    }
    if (dirname(folder) === folder) break
  }
  throw new InvalidMigrationError(
    `there is no folder "migrations" beside a package.json above ${start}; install the package anew, or say where it is ` +
      '(migrationsFolder), as a program must that was bundled into one file'
  )
}

/**
 * Reads a folder of migrations.
 *
 * @returns in ascending order of their versions
 * @throws InvalidMigrationError naming the file, when one is misnamed, has a version twice, or lacks its other half
 */
export function readMigrations(folder: string): Migration[] {
  const halves = new Map<string, { name: string; up?: string; down?: string }>()
  for (const file of sqlFiles(folder)) {
    const match = FILE.exec(file)
    if (match === null) {
      throw new InvalidMigrationError(
        `${join(folder, file)} is not named like a migration; they look like 20251223000000_create_blobs_store.up.sql`
      )
    }
    const [, version, name, direction] = match as unknown as [string, string, string, 'up' | 'down']
    const half = halves.get(version) ?? { name }
    if (half.name !== name) {
      throw new InvalidMigrationError(
        `${folder}: there are two migrations ${version}, "${half.name}" and "${name}"; give one another version`
      )
    }
    half[direction] = readFileSync(join(folder, file), 'utf8').replaceAll('\r\n', '\n')
    halves.set(version, half)
  }
  return Array.from(halves, ([version, { name, up, down }]) => {
    if (up === undefined || down === undefined) {
      const missing = `${version}_${name}.${up === undefined ? 'up' : 'down'}.sql`
      throw new InvalidMigrationError(
        `${join(folder, missing)} is missing: each migration has an up and a down`
      )
    }
    return { version, name, up, down, checksum: hashBytes(new TextEncoder().encode(up)).hash.toString() }
  })
}

function sqlFiles(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter(name => name.endsWith('.sql'))
      .sort()
  } catch (cause) {
    throw new InvalidMigrationError(`the folder of migrations ${folder} cannot be read`, { cause })
  }
}
