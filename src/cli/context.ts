/** What a command gets to work with. */
import type { Command } from 'commander'
import type { Config, ConfigInput } from '../node/config.ts'
import { requireHome } from '../node/home.ts'
import { loadConfig, secretWarning } from '../node/load-config.ts'
import { openStore } from '../node/open-store.ts'
import type { BlobStore } from '../store/index.ts'
import type { Output } from './output.ts'

/** Options that every command takes. */
export interface GlobalOptions {
  readonly home?: string
  readonly listen?: readonly string[]
  readonly json?: boolean
  readonly verbose?: boolean
  readonly quiet?: boolean
  readonly debug?: boolean
}

export interface Context {
  readonly output: Output
  /** Aborts when the program is told to stop. */
  readonly signal: AbortSignal
  /** Path of the home folder, whether or not there is one. */
  readonly home: string
  readonly options: GlobalOptions
}

/** Runs a command's action, and ends the program as it went. */
export type Run = (
  command: Command,
  action: (context: Context) => Promise<number | undefined>
) => Promise<void>

/** What the commands are added to. */
export interface Cli {
  readonly program: Command
  readonly run: Run
}

/** The home's configuration with what the command line says instead. @throws InvalidConfigError */
export async function readConfig({ home, options, output }: Context): Promise<Config> {
  const flags: ConfigInput = {
    ...(options.listen === undefined ? {} : { listen: [...options.listen] }),
    ...(options.verbose ? { logLevel: 'verbose' } : {}),
    ...(options.quiet ? { logLevel: 'quiet' } : {})
  }
  const config = await loadConfig(home, flags, 'the command line')
  output.setLogLevel(config.logLevel)
  const warning = await secretWarning(home, config)
  if (warning !== undefined) output.warn(warning)
  return config
}

/** A home's configuration and its store. */
export interface OpenHome extends AsyncDisposable {
  readonly config: Config
  readonly store: BlobStore
}

/**
 * Opens a home.
 *
 * @throws NoHomeError when there is none; InvalidConfigError, StoreError
 */
export async function openHome(context: Context): Promise<OpenHome> {
  const { home, output } = context
  await requireHome(home)
  const config = await readConfig(context)
  const store = await openStore(config, home, { onWarning: text => output.warn(text) })
  return { config, store, [Symbol.asyncDispose]: () => store.close() }
}

/** For options that may be given more than once. */
export function collect(value: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), value]
}

/** The examples at the end of a command's help. */
export function examples(...lines: readonly (readonly [command: string, what: string])[]): string {
  const width = Math.max(...lines.map(([command]) => command.length))
  return `\nExamples:\n${lines.map(([command, what]) => `  $ ${command.padEnd(width)}   ${what}`).join('\n')}`
}
