#!/usr/bin/env node
/*
 * Starts the blobs program. Written so that every Node.js since 10 can read it: one that is too old shall say so, rather than
 * fail over words that it does not know.
 */
var NEEDED = [22, 13]

/*
 * Threads that wait for the disk. With Node's four, many small files wait for each other; with more, the disk writes those of
 * all threads in one go. To be set before the first of them is needed: that makes them all.
 */
var DISK_THREADS = 16

var found = process.versions.node.split('.').map(Number)
if (found[0] < NEEDED[0] || (found[0] === NEEDED[0] && found[1] < NEEDED[1])) {
  console.error('error: blobs needs Node.js %s or newer; this is %s', NEEDED.join('.'), process.versions.node)
  process.exitCode = 1
} else {
  if (process.env.UV_THREADPOOL_SIZE === undefined) process.env.UV_THREADPOOL_SIZE = String(DISK_THREADS)
  /* Compiled code is kept in a temporary folder: each start but the first is sooner done. */
  process.getBuiltinModule('node:module').enableCompileCache()
  import('../dist/cli/main.js').then(
    cli => cli.main(process.argv.slice(2)),
    error => {
      if (error.code !== 'ERR_MODULE_NOT_FOUND' || !/dist.cli.main\.js/.test(error.message)) throw error
      console.error('error: blobs is not built yet; build it with: npm run build')
      process.exitCode = 1
    }
  )
}
