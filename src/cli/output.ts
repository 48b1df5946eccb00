/** What the commands say: results on stdout, for people or as JSON; everything else on stderr. */
import { printable } from './format.ts'

export type LogLevel = 'quiet' | 'normal' | 'verbose'

/** A line of JSON: the event's name and what belongs to it. */
export interface Event {
  readonly event: string
  readonly [key: string]: unknown
}

export interface OutputInit {
  readonly isJson: boolean
  readonly logLevel: LogLevel
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
}

export class Output {
  readonly isJson: boolean
  readonly stderr: NodeJS.WriteStream
  readonly #stdout: NodeJS.WriteStream
  #logLevel: LogLevel

  constructor({ isJson, logLevel, stdout, stderr }: OutputInit) {
    this.isJson = isJson
    this.#logLevel = logLevel
    this.#stdout = stdout
    this.stderr = stderr
  }

  /** Whether progress is to be shown to people. */
  get showsProgress(): boolean {
    return !this.isJson && this.#logLevel !== 'quiet'
  }

  get isVerbose(): boolean {
    return this.#logLevel === 'verbose'
  }

  setLogLevel(level: LogLevel): void {
    this.#logLevel = level
  }

  /** A result: for scripts as an event, for people as text. No text: nothing for people. */
  result(event: Event, text?: string): void {
    if (this.isJson) this.#stdout.write(`${JSON.stringify(event)}\n`)
    else if (text !== undefined) this.#stdout.write(`${printable(text)}\n`)
  }

  /** What is going on. */
  note(text: string): void {
    if (this.#logLevel !== 'quiet') this.stderr.write(`${printable(text)}\n`)
  }

  /** What only those want to know who asked for it. */
  detail(text: string): void {
    if (this.isVerbose) this.stderr.write(`${printable(text)}\n`)
  }

  warn(text: string): void {
    this.stderr.write(`warning: ${printable(text)}\n`)
  }

  error(code: string, message: string): void {
    if (this.isJson) this.result({ event: 'error', code, message })
    else this.stderr.write(`error: ${printable(message)}\n`)
  }
}
