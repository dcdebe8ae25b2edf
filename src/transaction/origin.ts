/** Where a message came in, as far as the switch itself has seen it: nothing here is taken from the message. */
import type { Terminal } from './terminal.ts'

export interface Origin {
  /** Name of the link; undefined where it came over HTTP. */
  readonly link: string | undefined
  /** SHA-256 of the client's certificate as 64 upper-case hexadecimal digits; undefined where it showed none. */
  readonly certificate: string | undefined
  /** The link takes only terminals that are bound to the certificate. */
  readonly bindTerminals: boolean
  /** The configured key that its MAC was made with, or that has taken its place since; undefined where the link demands no MAC. */
  readonly macKey: string | undefined
}

/** HTTP has no links and no client certificates. */
export const OVER_HTTP: Origin = { link: undefined, certificate: undefined, bindTerminals: false, macKey: undefined }

/** Whether a terminal may have sent what came this way. DE 41 is only a claim; what it is bound to is not. */
export function mayComeBy(terminal: Terminal, origin: Origin): boolean {
  if (terminal.link !== null && terminal.link !== origin.link) return false
  if (terminal.macKey !== null && terminal.macKey !== origin.macKey) return false
  if (terminal.certificate === null) return !origin.bindTerminals
  return terminal.certificate === origin.certificate
}
