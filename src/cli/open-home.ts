/** The home that a command works on: its configuration and its store. */
import type { Config, ConfigInput } from '../node/config.ts'
import { requireHome } from '../node/home.ts'
import { loadConfig, secretWarning } from '../node/load-config.ts'
import { openStore } from '../node/open-store.ts'
import type { BlobStore } from '../store/index.ts'
import type { Context } from './context.ts'

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
