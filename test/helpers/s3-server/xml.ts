/** As much XML as the server writes and reads. */

/** What an element holds: text, or elements in order; `undefined` leaves the element out, an array repeats it. */
export type Xml = string | number | boolean | { readonly [name: string]: XmlChild }
export type XmlChild = Xml | undefined | readonly Xml[]

const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/'

export function document(root: string, content: Xml): string {
  const namespace = root === 'Error' ? '' : ` xmlns="${NAMESPACE}"`
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${root}${namespace}>${inner(content)}</${root}>`
}

function inner(content: Xml): string {
  if (typeof content !== 'object') return escapeText(String(content))
  return Object.entries(content)
    .map(([name, child]) => elements(name, child))
    .join('')
}

function elements(name: string, child: XmlChild): string {
  if (child === undefined) return ''
  if (Array.isArray(child)) return child.map(one => elements(name, one as Xml)).join('')
  return `<${name}>${inner(child as Xml)}</${name}>`
}

function escapeText(text: string): string {
  return text.replace(/[&<>"\r]/g, character => `&#${character.charCodeAt(0)};`)
}

/** The contents, still escaped, of all elements of a name; they must not contain elements of that name. */
export function contents(xml: string, name: string): string[] {
  return [...xml.matchAll(new RegExp(`<${name}(?:\\s[^>]*)?>([\\s\\S]*?)</${name}>`, 'g'))].map(
    match => match[1]!
  )
}

/** The text of the first element of a name. */
export function text(xml: string, name: string): string | undefined {
  const found = contents(xml, name)[0]
  return found === undefined ? undefined : unescapeText(found)
}

const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }

function unescapeText(escaped: string): string {
  return escaped.replace(/&(?:#x([0-9a-f]+)|#([0-9]+)|([a-z]+));/gi, (whole, hex, decimal, name) => {
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16))
    if (decimal !== undefined) return String.fromCodePoint(Number.parseInt(decimal, 10))
    return ENTITIES[name] ?? whole
  })
}
