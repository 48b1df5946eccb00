/** What a command gets to work with. */
import type { Command } from 'commander'
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

/**
 * What the commands are added to.
 *
 * `commands/add.ts` says how `blobs add` is called; what it does is in `add.ts`, which is imported when it runs. So nobody who
 * asks for help, or mistypes something, waits for all that the commands need.
 */
export interface Cli {
  readonly program: Command
  readonly run: Run
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
