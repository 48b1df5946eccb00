/** Loaded before the program: notes in the file that `LOADED` names which modules it loads, a URL a line. */
import { writeFileSync } from 'node:fs'
import { registerHooks } from 'node:module'

const urls: string[] = []
registerHooks({
  load: (url, context, nextLoad) => {
    urls.push(url)
    return nextLoad(url, context)
  }
})
process.on('exit', () => writeFileSync(process.env.LOADED!, urls.join('\n')))
