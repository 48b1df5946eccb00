/** Loads packages that are installed in this folder, which the rest of the project does not see. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'

export const INSTALL_PEERS = 'npm install --prefix bench/peers'

export function isInstalled(name: string): boolean {
  return existsSync(join(import.meta.dirname, 'node_modules', name, 'package.json'))
}

/** @typeParam T what is used of it; the package is not there where types are checked */
export async function load<T>(name: string): Promise<T> {
  return await import(name)
}
