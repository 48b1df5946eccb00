/** What the commands say: results on stdout, for people or as JSON; everything else on stderr. */
import { printable } from './format.ts'

/** Characters of results that are written at once, when they are gathered. */
const PIECE_CHARS = 64 * 1024

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
  /** Results that are still to be written; undefined when each is written at once. */
  #gathered: string | undefined

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
    if (this.isJson) this.#write(`${JSON.stringify(event)}\n`)
    else if (text !== undefined) this.#write(`${printable(text)}\n`)
  }

  /**
   * Until the end of the block, results are written in large pieces: for lists, whose lines cost more to write than to make.
   * What is said besides comes in its place between them.
   */
  gatherResults(): Disposable {
    this.#gathered ??= ''
    return {
      [Symbol.dispose]: () => {
        this.#flush()
        this.#gathered = undefined
      }
    }
  }

  /** What is going on. */
  note(text: string): void {
    if (this.#logLevel !== 'quiet') this.#say(text)
  }

  /** What only those want to know who asked for it. */
  detail(text: string): void {
    if (this.isVerbose) this.#say(text)
  }

  warn(text: string): void {
    this.#say(`warning: ${text}`)
  }

  error(code: string, message: string): void {
    if (this.isJson) this.result({ event: 'error', code, message })
    else this.#say(`error: ${message}`)
    this.#flush()
  }

  #write(line: string): void {
    if (this.#gathered === undefined) {
      this.#stdout.write(line)
      return
    }
    this.#gathered += line
    if (this.#gathered.length >= PIECE_CHARS) this.#flush()
  }

  #say(text: string): void {
    this.#flush()
    this.stderr.write(`${printable(text)}\n`)
  }

  #flush(): void {
    if (!this.#gathered) return
    this.#stdout.write(this.#gathered)
    this.#gathered = ''
  }
}
