/** Messages of class 8: sign on, sign off, echo, and a new key from the peer (ISO 8583-1:1987 DE 70). */
import type { MessageLink } from './settings.ts'
import type { Message } from './iso8583/message.ts'
import { parsePrivateData, privateDatum } from './iso8583/privateData.ts'
import type { LinkKeys } from './linkKeys.ts'
import { errorText, type Logger } from './log.ts'
import type { NetworkResult } from './response/answer.ts'
import { APPROVED, CODE_OF_REASON } from './response/responseCodes.ts'

const SIGN_ON = '001'
const SIGN_OFF = '002'
const KEY_CHANGE = '161'
const ECHO = '301'

export interface NetworkParts {
  readonly linkKeys: LinkKeys
  readonly log: Logger
}

export class NetworkManagement {
  readonly #parts: NetworkParts

  constructor(parts: NetworkParts) {
    this.#parts = parts
  }

  /** Calls `done` exactly once. */
  answer(link: MessageLink, message: Message, code: string, done: (result: NetworkResult) => void): void {
    switch (code) {
      case SIGN_ON:
      case SIGN_OFF:
      case ECHO:
        done({ responseCode: APPROVED })
        return
      case KEY_CHANGE:
        this.#changeKey(link, message)
          .then(done)
          .catch((error: unknown) => {
            this.#parts.log.error({ stage: 'keys', error: errorText(error) }, 'fault')
          })
        return
      default:
        done({ responseCode: code === '' ? CODE_OF_REASON.format_error : CODE_OF_REASON.unsupported })
    }
  }

  /** DE 48 KB is the key block, KC the check value that the peer expects. Whoever can send one has been authenticated by the link. */
  async #changeKey(link: MessageLink, message: Message): Promise<NetworkResult> {
    const { linkKeys, log } = this.#parts
    const data = parsePrivateData(message.text(48) ?? '')
    const block = data.ok ? privateDatum(data.value, 'KB') : undefined
    const kcv = data.ok ? privateDatum(data.value, 'KC') : undefined
    if (block === undefined || kcv === undefined) return { responseCode: CODE_OF_REASON.format_error }
    try {
      const change = await linkKeys.change(link, message.text(41)?.trimEnd() ?? '', block, kcv)
      if (change.kind === 'changed') {
        log.info({ link: link.name, kcv: change.kcv }, 'a new key is in force')
        return { responseCode: APPROVED, kcv: change.kcv }
      }
      log.warn({ link: link.name, reason: change.reason }, 'a key that a peer sent is refused')
      return { responseCode: CODE_OF_REASON.mac }
    } catch (error) {
      log.error({ link: link.name, error: errorText(error) }, 'a key that a peer sent cannot be stored')
      return { responseCode: CODE_OF_REASON.cannot_decide }
    }
  }
}
