/** Who delivers notices. The port, and what each adapter may answer. */
import type { Language } from '../../noticeTemplates.ts'
import type { Mobile } from '../../personalData.ts'

export interface OutgoingNotice {
  /** The same for every attempt at the same message: a provider that has it already answers as it did the first time. */
  readonly id: string
  readonly to: Mobile
  readonly language: Language
  readonly text: string
  /** Its template, for the provider's own statistics. */
  readonly template: string
}

export type SendOutcome =
  /** The provider has taken it, under a reference that the delivery report will name. */
  | { readonly kind: 'accepted'; readonly reference: string }
  /** It never will be: the number or the message is not what the provider takes. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** Not this time. @param afterMs not before so long from now */
  | { readonly kind: 'failed'; readonly reason: string; readonly afterMs?: number }

export interface NoticeProvider {
  /** Nobody will report the delivery: what was accepted is there. */
  readonly deliversAtOnce: boolean
  /** Does not reject. */
  send(notice: OutgoingNotice): Promise<SendOutcome>
}
