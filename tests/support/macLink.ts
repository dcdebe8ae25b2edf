/** The peer of a link that demands MACs: puts one on what it sends, and judges that of the answer. */
import type { Message } from '../../src/iso8583/message.ts'
import { messageSpec, type MessageSpec } from '../../src/iso8583/messageSpec.ts'
import { coveredBy, macOf, makeRoomForMac, writeMac } from '../../src/security/messageMac.ts'
import type { KeyHandle } from '../../src/security/keys.ts'
import type { FieldValues } from '../../src/iso8583/encode.ts'
import { encode } from '../../src/iso8583/encode.ts'
import { answerName, type Sent, type TestLink, type TestSwitch } from './switch.ts'

export interface MacAnswer {
  readonly answer: Message
  /** The name of the field that has its MAC, where the MAC is right under the key that it was asked with. */
  readonly right: 'DE 64' | 'DE 128' | undefined
}

export class MacPeer {
  readonly link: TestLink
  readonly #spec: MessageSpec
  /** M3 or M6. */
  key: KeyHandle

  constructor(running: TestSwitch, link: TestLink, key: KeyHandle) {
    this.link = link
    this.key = key
    const configured = running.config.links.find(({ name }) => name === link.name)
    if (configured === undefined) throw new RangeError(`no link ${link.name}`)
    this.#spec = messageSpec(configured.spec)
  }

  /** A message with its MAC, as bytes. */
  sealed({ mti, fields }: Sent): Buffer {
    const values: FieldValues = []
    for (const [de, text] of Object.entries(fields)) values[Number(de)] = text
    makeRoomForMac(values)
    const encoded = encode(this.#spec, mti, values)
    if (!encoded.ok) throw new Error(`cannot be encoded: ${encoded.error.path} ${encoded.error.expected}`)
    writeMac(this.#spec, encoded.bytes, this.key.mac(coveredBy(this.#spec, encoded.bytes)))
    return encoded.bytes
  }

  /** @returns undefined where the connection was closed instead */
  async ask(sent: Sent, bytes: Buffer = this.sealed(sent)): Promise<MacAnswer | undefined> {
    const answer = await this.link.sendBytes(bytes, answerName(sent.mti, sent.fields[11]))
    return answer === undefined ? undefined : { answer, right: this.#rightMac(answer) }
  }

  async codeOf(sent: Sent, bytes?: Buffer): Promise<string | undefined> {
    return (await this.ask(sent, bytes))?.answer.text(39)
  }

  #rightMac(answer: Message): MacAnswer['right'] {
    const found = macOf(answer, this.link.frameOf(answer))
    if (found === undefined || !this.key.mac(found.data).subarray(0, found.given.length).equals(found.given)) return undefined
    return answer.has(128) ? 'DE 128' : 'DE 64'
  }
}
