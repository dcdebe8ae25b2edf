/**
 * XML as it comes, for files of others: elements are built below a root, and whoever listens takes what has ended and drops it, so that a large file takes no memory.
 * There are no entities but the five of XML, no DOCTYPE, and depth and length of a value are bounded.
 */
import { SaxesParser } from 'saxes'
import { BadFile } from './statement.ts'

export interface XmlElement {
  readonly name: string
  readonly attributes: Readonly<Record<string, string>>
  readonly children: XmlElement[]
  text: string
}

const DEPTH_MAX = 32
const TEXT_MAX = 4000
const ATTRIBUTES_MAX = 16
/** That are kept at a time, for one who listens. */
const ELEMENTS_MAX = 5_000_000

export interface XmlListener {
  /** The root, as soon as it begins. */
  readonly onRoot: (name: string, namespace: string) => void
  /** An element below the root has ended. @returns whether its parent is to keep it */
  readonly onElement: (element: XmlElement, path: readonly string[]) => boolean
}

/** Takes text in pieces; `end` says whether it was whole. */
export interface XmlReader {
  write(text: string): void
  end(): void
}

const CUT_OFF = 'The file is no well-formed XML, or ends before its end. Ask the bank for it again.'

/** @throws BadFile out of `write` and `end` */
export function xmlReader({ onRoot, onElement }: XmlListener): XmlReader {
  const parser = new SaxesParser({ xmlns: true, position: false })
  const open: XmlElement[] = []
  const path: string[] = []
  let kept = 0
  const fail = (): never => {
    throw new BadFile('not-xml', CUT_OFF)
  }
  parser.on('error', fail)
  parser.on('doctype', () => {
    throw new BadFile('doctype', 'The file has a DOCTYPE; a bank statement has none.')
  })
  parser.on('xmldecl', ({ encoding = 'UTF-8' }) => {
    if (encoding.toUpperCase() !== 'UTF-8') throw new BadFile('not-utf-8', 'The file has to be UTF-8, and to say so.')
  })
  parser.on('opentag', ({ local, uri, attributes }) => {
    const values = Object.values(attributes)
    if (open.length >= DEPTH_MAX || values.length > ATTRIBUTES_MAX)
      throw new BadFile('not-a-statement', 'The file is nested deeper, or has more attributes, than a bank statement.')
    if (open.length === 0) onRoot(local, uri)
    open.push({
      name: local,
      attributes: Object.fromEntries(values.map((attribute) => [attribute.local, attribute.value])),
      children: [],
      text: '',
    })
    path.push(local)
  })
  const addText = (text: string): void => {
    const element = open.at(-1)
    if (element === undefined) return
    if (element.text.length + text.length > TEXT_MAX) throw new BadFile('value-too-long', 'A value of the file is too long.')
    // Between elements there is only what makes it easy to read.
    if (element.children.length === 0) element.text += text
  }
  parser.on('text', addText)
  parser.on('cdata', addText)
  parser.on('closetag', () => {
    const element = open.pop()
    if (element === undefined) return
    const keep = onElement(element, path)
    path.pop()
    if (!keep) {
      kept -= sizeBelow(element)
      return
    }
    kept++
    if (kept > ELEMENTS_MAX)
      throw new BadFile('not-a-statement', 'An entry of the file has more in it than one of a bank statement.')
    open.at(-1)?.children.push(element)
  })
  return {
    write: (text) => void parser.write(text),
    end: () => void parser.close(),
  }
}

function sizeBelow({ children }: XmlElement): number {
  return children.reduce((size, child) => size + 1 + sizeBelow(child), 0)
}

/** The first element at the end of a path of names below one. */
export function elementAt(element: XmlElement | undefined, ...names: readonly string[]): XmlElement | undefined {
  let at = element
  for (const name of names) at = at?.children.find((child) => child.name === name)
  return at
}

/** Its text, trimmed; undefined where there is none. */
export function textAt(element: XmlElement | undefined, ...names: readonly string[]): string | undefined {
  const text = elementAt(element, ...names)?.text.trim()
  return text === '' ? undefined : text
}

export function elementsNamed(element: XmlElement | undefined, name: string): readonly XmlElement[] {
  return element?.children.filter((child) => child.name === name) ?? []
}
