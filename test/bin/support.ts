/** Runs the scripts of `bin/` with a PATH on which is only what a test has put there. */
import { execFile } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'

export const BIN = new URL('../../bin', import.meta.url).pathname

/** What the scripts take for granted on any Linux. */
const TOOLS = [
  'bash', 'cat', 'curl', 'dirname', 'env', 'flock', 'grep', 'id', 'ls', 'mkdir', 'realpath', 'rm', 'setsid', 'sleep', 'tail',
  'timeout', 'touch', 'tr'
] // biome-ignore format: a list

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export class Sandbox implements AsyncDisposable {
  readonly folder: string
  readonly #path: string

  private constructor(folder: string) {
    this.folder = folder
    this.#path = join(folder, 'path')
  }

  static async create(): Promise<Sandbox> {
    const sandbox = new Sandbox(await mkdtemp(join(tmpdir(), 'blobs-bin-')))
    await mkdir(sandbox.#path)
    for (const tool of TOOLS) await symlink(find(tool), join(sandbox.#path, tool))
    return sandbox
  }

  /** Puts a program on the PATH, in place of one that is there. */
  async program(name: string, script: string): Promise<void> {
    const file = join(this.#path, name)
    await rm(file, { force: true })
    await writeFile(file, `#!${find('bash')}\n${script}\n`)
    await chmod(file, 0o755)
  }

  async run(
    script: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {}
  ): Promise<Ran> {
    return await this.#execute([join(BIN, script), ...args], env)
  }

  /** Runs commands that may use what is in `bin/utils`. */
  async utils(commands: string): Promise<Ran> {
    return await this.#execute(['-c', `set -euo pipefail; . '${BIN}/utils'; ${commands}`], {})
  }

  async #execute(args: readonly string[], env: Readonly<Record<string, string>>): Promise<Ran> {
    const own = { PATH: this.#path, HOME: this.folder, BLOBS_WAIT: '20' }
    const options = { env: { ...own, ...env }, timeout: 100_000 }
    return await new Promise((resolve, reject) => {
      execFile(find('bash'), args, options, (error, stdout, stderr) => {
        if (error === null) resolve({ code: 0, stdout, stderr })
        else if (typeof error.code === 'number') resolve({ code: error.code, stdout, stderr })
        else reject(error)
      })
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true })
  }
}

function find(tool: string): string {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    try {
      accessSync(join(folder, tool), constants.X_OK)
      return join(folder, tool)
    } catch {
      // Not in this one.
    }
  }
  throw new Error(`the scripts need ${tool}, which is not on the PATH`)
}
