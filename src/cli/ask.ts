/** One message to the switch and its answer, on a connection of its own. */
import { decode } from '../iso8583/decode.ts'
import type { Message } from '../iso8583/message.ts'
import type { MessageSpec, SpecName } from '../iso8583/messageSpec.ts'
import { connect, type ClientTls } from '../transport/client.ts'
import type { Framing } from '../transport/framing.ts'

export interface Target {
  readonly host: string
  readonly port: number
  readonly spec: SpecName
  readonly framing: Framing
  readonly tls?: ClientTls
}

/** Nobody answered. The message is the one line that says what to do. */
export class NoAnswerError extends Error {
  override readonly name = 'NoAnswerError'
}

/**
 * @param stan the trace number by which the answer is known; other messages are passed over
 * @throws NoAnswerError
 */
export async function ask(
  spec: MessageSpec,
  target: Target,
  request: Buffer,
  stan: string,
  timeoutMs: number,
): Promise<{ answer: Message; frame: Buffer; elapsedMs: number }> {
  const address = `${target.host}:${target.port}`
  const answered = Promise.withResolvers<{ answer: Message; frame: Buffer }>()
  // It may fail before anyone waits for it.
  answered.promise.catch(() => undefined)
  const client = await connect({
    ...target,
    connectMs: timeoutMs,
    onPayload: (payload) => {
      const frame = Buffer.from(payload)
      const decoded = decode(spec, frame)
      if (!decoded.ok) {
        const { path, expected, found } = decoded.error
        answered.reject(new NoAnswerError(`the answer cannot be read: ${path}, expected ${expected}, found ${found}`))
      } else if (decoded.message.text(11) === stan) {
        answered.resolve({ answer: decoded.message, frame })
      }
    },
    onClose: (error) => {
      answered.reject(
        new NoAnswerError(
          `${address} closed the connection without an answer${error === undefined ? '' : ` (${error.message})`}; ${target.tls === undefined ? 'do --spec and --framing fit this port, and is it without TLS?' : 'does it let this certificate in?'}`,
        ),
      )
    },
  }).catch((error: unknown) => {
    throw new NoAnswerError(`no connection to ${address} (${reason(error)}): is the switch running? Start it with npm start`, {
      cause: error,
    })
  })
  const timer = setTimeout(() => {
    answered.reject(new NoAnswerError(`no answer from ${address} within ${timeoutMs / 1000} s`))
  }, timeoutMs)
  const sentMs = performance.now()
  client.send(request)
  try {
    const { answer, frame } = await answered.promise
    return { answer, frame, elapsedMs: performance.now() - sentMs }
  } finally {
    clearTimeout(timer)
    client.destroy()
  }
}

/** A host with several addresses fails with one error for each of them, and no message. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.message === '' && 'code' in error ? String(error.code) : error.message
}
