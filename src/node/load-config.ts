/** The config file: TOML in the home folder. */
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { parse, TomlError } from 'smol-toml'
import {
  type Config,
  type ConfigInput,
  InvalidConfigError,
  parseConfig,
  type Surroundings,
  unknownKey
} from './config.ts'
import { fromToml, SPELLINGS } from './spelling.ts'
import { storeTypeOf } from './store-config.ts'

export const CONFIG_FILE = 'config.toml'

const OTHERS = 0o077

type Table = Record<string, unknown>

/**
 * The configuration of a home: its file if it has one, what `overrides` says instead, and the defaults.
 *
 * @param source what to call `overrides` in messages
 * @throws InvalidConfigError naming the file, and the position if it is no TOML
 */
export async function loadConfig(
  home: string,
  overrides: ConfigInput = {},
  source = 'options'
): Promise<Config> {
  const path = join(home, CONFIG_FILE)
  const text = await readIfThere(path)
  const fromFile = text === undefined ? {} : parseToml(text, path)
  parseConfig(fromFile, path, 'toml')
  return parseConfig({ ...fromFile, ...overrides }, source)
}

/** What to warn of: a secret in the home's file that others than its owner can read; undefined when there is nothing. */
export async function secretWarning(home: string, { blobStore }: Config): Promise<string | undefined> {
  // Windows has no such bits.
  if (blobStore.type !== 's3' || blobStore.secretKey === undefined || process.platform === 'win32') {
    return undefined
  }
  const path = join(home, CONFIG_FILE)
  const { mode } = await stat(path)
  if ((mode & OTHERS) === 0) return undefined
  return `${path} has a secret in it and others can read it; make it private with: chmod 600 ${path}`
}

/**
 * Reads a config file's text.
 *
 * @param source what to call it in messages
 * @returns the tables with their keys spelt as in code, not checked any further
 * @throws InvalidConfigError
 */
export function parseToml(text: string, source: string): Table {
  let table: Table
  try {
    table = parse(text.replace(/^\uFEFF/, ''))
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause
    const reason = cause.message.split('\n')[0]!.replace(/^Invalid TOML document: /, '')
    // The cause is not kept: it quotes the lines around the error, and a secret may stand in them.
    throw new InvalidConfigError(`${source}, line ${cause.line}, column ${cause.column}`, [reason])
  }
  const problems: string[] = []
  const type = storeTypeOf(table[SPELLINGS.toml('blobStore')])
  const result = respell(table, '', { type, keys: Object.keys(table) }, problems)
  if (problems.length > 0) throw new InvalidConfigError(source, problems)
  return result
}

function respell(table: Table, path: string, surroundings: Surroundings, problems: string[]): Table {
  const result: Table = {}
  for (const [key, value] of Object.entries(table)) {
    const inCode = fromToml(key)
    if (inCode === undefined) {
      problems.push(unknownKey(key, path, 'toml', surroundings))
      continue
    }
    const inner = path === '' ? inCode : `${path}.${inCode}`
    result[inCode] = isTable(value) ? respell(value, inner, surroundings, problems) : value
  }
  return result
}

function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
