/** What the comparison asks of whoever takes part in it. A new contestant is a file beside this one, and a line in `index.ts`. */

export interface Contestant {
  /** Short, for `--only`. */
  readonly name: string
  /** For the table. */
  readonly title: string
  /** Packages of `bench/peers` that it needs. */
  readonly packages?: readonly string[]
  /** Whether what was added is there when the folder is opened by another process. */
  readonly isKept: boolean
  /** Whether its work is done in JavaScript: else the event loop tells nothing. */
  readonly isJavaScript: boolean
  /** Whether adding is something that it does. */
  readonly adds: boolean
  /** What it can do: one large blob; a folder as one collection; small blobs one by one. */
  readonly parts: readonly Part[]
  /** Opens one half, in a process of its own. `dir` is for it alone, and may not be there yet. */
  open(dir: string): Promise<Half>
}

export const PARTS = ['blob', 'folder', 'one'] as const
export type Part = (typeof PARTS)[number]

/** One of the two sides. Keys and addresses are texts that mean something to the contestant only. */
export interface Half {
  /** Adds a file. @returns a key for it */
  add(path: string): Promise<string>
  /** Adds the files of a folder as one collection. @returns a key for all of them */
  addFolder?(path: string): Promise<string>
  /** Adds files one by one. @returns a key for each */
  addEach?(paths: readonly string[]): Promise<readonly string[]>
  /** Serves what was added under a key. @returns the address */
  provide(key: string): Promise<string>
  /** Gets ready to fetch what is served there. */
  connect(address: string): Promise<void>
  /** Fetches what is behind a key, until it is verified and where it stays. */
  get(key: string): Promise<void>
  /** The same with a collection. */
  getFolder?(key: string): Promise<void>
  /** Asked when the time has been taken: bytes of a file that are there, or files of a collection. */
  count(part: Part, key: string): Promise<number>
  /** Makes what was added last for ever. */
  close(): Promise<void>
}
