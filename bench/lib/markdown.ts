/** Tables in Markdown, and numbers for them. */
import { median } from './trial.ts'

export function markdownTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n')
}

export function middle(numbers: readonly number[]): number {
  return median(numbers.toSorted((a, b) => a - b))
}

/** The median, the least and the most. */
export function spread(numbers: readonly number[], digits: number): string {
  if (numbers.length === 0) return '–'
  const least = Math.min(...numbers)
  const most = Math.max(...numbers)
  return `${middle(numbers).toFixed(digits)} (${least.toFixed(digits)}–${most.toFixed(digits)})`
}
