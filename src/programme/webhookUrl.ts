/** Where events may be sent to. */
import { isPrivateHost } from '../transport/outgoingRequest.ts'

export interface WebhookUrlRules {
  readonly production: boolean
  /** In production too. */
  readonly privateAddresses: boolean
}

export const WEBHOOK_URL_MAX = 1000

/** @returns what is wrong with an address; undefined: it may be used, if its name leads to where it may be sent */
export function webhookUrlProblem(text: string, { production, privateAddresses }: WebhookUrlRules): string | undefined {
  const url = URL.parse(text)
  const schemes = production ? ['https:'] : ['https:', 'http:']
  if (url === null || !schemes.includes(url.protocol)) return `an address that begins with ${schemes.join('// or ')}//`
  if (url.username !== '' || url.password !== '') return 'an address without a user and a password: the signature says who calls'
  if (url.hash !== '') return 'an address without a fragment'
  if (production && !privateAddresses && isPrivateHost(url.hostname)) return 'a public address'
  return undefined
}
