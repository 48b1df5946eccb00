/**
 * As much of XML as S3 speaks: elements with text, found by their name. A full parser needs 50 ms for a page of a list, during
 * which nothing else would run; this one needs one.
 *
 * Every function takes time linear in the text and throws for none.
 */

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

/** What is inside the elements of a name, in their order. Elements of the same name inside each other are not told apart. */
export function* elements(xml: string, name: string): Generator<string, void, undefined> {
  const opening = `<${name}`
  const closing = `</${name}>`
  let at = 0
  while (true) {
    const start = xml.indexOf(opening, at)
    if (start < 0) return
    at = start + opening.length
    if (!/[\s/>]/.test(xml[at] ?? '')) continue
    const opened = xml.indexOf('>', at)
    if (opened < 0) return
    at = opened + 1
    if (xml[opened - 1] === '/') {
      yield ''
      continue
    }
    const end = xml.indexOf(closing, at)
    if (end < 0) return
    yield xml.slice(at, end)
    at = end + closing.length
  }
}

/** The text of the first element of a name. */
export function textOf(xml: string, name: string): string | undefined {
  for (const inside of elements(xml, name)) return decodeText(inside)
  return undefined
}

export function hasElement(xml: string, name: string): boolean {
  for (const _ of elements(xml, name)) return true
  return false
}

function decodeText(text: string): string {
  if (!text.includes('&')) return text
  return text.replace(/&(#x[0-9a-f]{1,6}|#[0-9]{1,7}|[a-z]{1,4});/gi, (whole, entity: string) => {
    if (!entity.startsWith('#')) return ENTITIES[entity] ?? whole
    const isHex = entity[1] === 'x' || entity[1] === 'X'
    const code = isHex ? Number.parseInt(entity.slice(2), 16) : Number.parseInt(entity.slice(1), 10)
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole
  })
}

export function encodeText(text: string): string {
  return text.replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`)
}
