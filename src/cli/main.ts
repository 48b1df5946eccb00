/** The `blobs` program. `bin/blobs.js` starts it. */
import { createRequire } from 'node:module'
import { Command, CommanderError } from 'commander'
import { collectGarbageEarly } from '../node/collect-garbage-early.ts'
import { HOME_VARIABLE, homePath } from '../node/home-path.ts'
import { optimizeLate } from '../node/optimize-late.ts'
import { ReceiveInterruptedError } from '../node/receive-interrupted.ts'
import { addCommand } from './commands/add.ts'
import { copyCommand } from './commands/copy.ts'
import { dbCommand } from './commands/db.ts'
import { exportCommand } from './commands/export.ts'
import { gcCommand } from './commands/gc.ts'
import { getCommand } from './commands/get.ts'
import { initCommand } from './commands/init.ts'
import { lsCommand } from './commands/ls.ts'
import { pushCommand } from './commands/push.ts'
import { receiveCommand } from './commands/receive.ts'
import { recoverCommand } from './commands/recover.ts'
import { rmCommand } from './commands/rm.ts'
import { sendCommand } from './commands/send.ts'
import { serveCommand } from './commands/serve.ts'
import { statusCommand } from './commands/status.ts'
import { tagsCommand } from './commands/tags.ts'
import { ticketCommand } from './commands/ticket.ts'
import { verifyCommand } from './commands/verify.ts'
import { type Context, collect, examples, type GlobalOptions, type Run } from './context.ts'
import { explain } from './errors.ts'
import { EXIT, EXIT_HELP } from './exit-codes.ts'
import { unwrapped } from './format.ts'
import { OutputClosedError, type StopSignal, stopSignal } from './interrupted.ts'
import { Output } from './output.ts'

const DESCRIPTION = `Share files and folders between machines, directly, and check every byte against its BLAKE3 hash.

"send" and "receive" need nothing else. The other commands work on a home: a folder with a node's identity, configuration and
blobs; "init" makes it, "serve" serves what is in it.`

const HELP_END = `${examples(
  ['blobs send ./photos', 'share a folder; prints a ticket'],
  ['blobs receive blobsaeafvo3m…', 'fetch it on another machine'],
  ['blobs get --help', 'help and examples of one command']
)}
${EXIT_HELP}`

const COMMANDS = [
  sendCommand,
  receiveCommand,
  initCommand,
  serveCommand,
  addCommand,
  getCommand,
  exportCommand,
  pushCommand,
  lsCommand,
  statusCommand,
  tagsCommand,
  rmCommand,
  gcCommand,
  verifyCommand,
  recoverCommand,
  copyCommand,
  dbCommand,
  ticketCommand
]

/** Commands that pass no bytes on. To set V8 for transfers would only make them slower. */
const WITHOUT_TRANSFER = new Set([
  initCommand,
  lsCommand,
  statusCommand,
  tagsCommand,
  rmCommand,
  gcCommand,
  dbCommand,
  ticketCommand
])

/**
 * Runs the program and sets the exit code of the process.
 *
 * @param args what comes behind the program's name
 */
export async function main(args: readonly string[]): Promise<void> {
  // Errors in the command line come up before it is parsed.
  const output = new Output({
    isJson: args.includes('--json'),
    logLevel: 'normal',
    stdout: process.stdout,
    stderr: process.stderr
  })
  const isDebug = args.includes('--debug') || process.env.DEBUG !== undefined
  const stopping = stopSignal({
    onFirst: signal => output.note(signal === 'SIGINT' ? 'stopping; Ctrl-C again stops at once' : 'stopping'),
    exit: signal => process.exit(exitCodeOf(signal))
  })
  process.stdout.on('error', error => {
    if (!('code' in error) || error.code !== 'EPIPE') throw error
    stopping.abort(new OutputClosedError())
  })

  const fail = (error: unknown): void => {
    const { code, message, exitCode, isUnexpected } = explain(error)
    process.exitCode = exitCode
    if (exitCode === EXIT.outputClosed) return
    output.error(
      code,
      isUnexpected && !isDebug ? `${message} (run it again with --debug for details)` : message
    )
    if (isDebug) console.error(error)
  }
  process.on('uncaughtException', error => {
    fail(error)
    process.exit()
  })
  const run: Run = async (command, action) => {
    try {
      process.exitCode = (await action(contextOf(command, output, stopping.signal))) ?? EXIT.ok
    } catch (error) {
      fail(stopping.signal.aborted ? stoppedBy(stopping.signal.reason, error) : error)
    }
    // Everything has ended and is closed: what still holds the process up, such as timers of libraries, is of no use.
    process.stdout.write('', () => process.stderr.write('', () => process.exit()))
  }
  const runTransfer: Run = async (command, action) => {
    collectGarbageEarly()
    optimizeLate()
    const { hashWide } = await import('../node/hash-wide.ts')
    hashWide()
    await run(command, action)
  }

  const program = newProgram()
  for (const add of COMMANDS) add({ program, run: WITHOUT_TRANSFER.has(add) ? run : runTransfer })
  try {
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return
    // Without a command the help has been shown already.
    if (error instanceof CommanderError && error.code === 'commander.help') process.exitCode = EXIT.usage
    else fail(error)
  }
}

function newProgram(): Command {
  return new Command('blobs')
    .description(unwrapped(DESCRIPTION))
    .option('--home <folder>', `the home folder (default: ${HOME_VARIABLE}, else ~/.blobs)`)
    .option('--listen <multiaddr>', 'where to listen; may be given more than once', collect)
    .option('--json', 'one JSON object per line on stdout; everything else on stderr')
    .option('--verbose', 'tell of each request that is answered')
    .option('--quiet', 'tell only of errors')
    .option('--debug', 'show the stack of an error')
    .version(readVersion(), '--version', 'show the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand(false)
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ outputError: () => undefined })
    .exitOverride()
    .addHelpText('after', HELP_END)
}

function contextOf(command: Command, output: Output, signal: AbortSignal): Context {
  const options: GlobalOptions = command.optsWithGlobals()
  if (options.verbose) output.setLogLevel('verbose')
  if (options.quiet) output.setLogLevel('quiet')
  return { output, signal, home: homePath(options.home), options }
}

/** When the program was told to stop, that is the reason, however it made things fail. */
function stoppedBy(reason: unknown, error: unknown): unknown {
  return error instanceof ReceiveInterruptedError
    ? new ReceiveInterruptedError(error.partFolder, reason)
    : reason
}

function exitCodeOf(signal: StopSignal): number {
  return signal === 'SIGINT' ? EXIT.interrupted : EXIT.terminated
}

function readVersion(): string {
  const { version }: { version: string } = createRequire(import.meta.url)('../../package.json')
  return version
}
