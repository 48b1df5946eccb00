/** What a measurement was made on. */
import os from 'node:os'

/** One line: processor, number of cores, memory, system, Node. */
export function describeMachine(): string {
  const cpus = os.cpus()
  const memory = `${Math.round(os.totalmem() / 2 ** 30)} GiB`
  const model = cpus[0]?.model.trim() ?? 'unknown processor'
  return `${cpus.length} x ${model}, ${memory}, ${os.platform()} ${os.arch()}, Node ${process.versions.node}`
}

/** How many processes wanted to run during the last minute, the benchmark included. Well above 1: do not trust it. */
export function describeLoad(): string {
  return `load average ${os.loadavg()[0]?.toFixed(1)}`
}
