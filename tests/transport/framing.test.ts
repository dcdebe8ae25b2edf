import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { answerTpdu, frameBytes, frameLayout, FrameReader, type Framing, writeFrame } from '../../src/transport/framing.ts'

const framings: Framing[] = ['length2', 'length2-tpdu', 'length4']
const tpdu = Buffer.from('6000010002', 'hex')
const CAP = 4096

describe.each(framings)('a %s stream', (framing) => {
  const layout = frameLayout(framing)

  it('gives the same messages wherever it is cut', () => {
    const payload = fc.uint8Array({ minLength: 1, maxLength: 300 })
    fc.assert(
      fc.property(fc.array(payload, { maxLength: 8 }), fc.array(fc.nat({ max: 2500 }), { maxLength: 12 }), (payloads, cuts) => {
        const stream = Buffer.concat(payloads.map((bytes) => frame(framing, bytes)))
        const ends = [...cuts.filter((cut) => cut < stream.length), stream.length].sort((a, b) => a - b)
        const reader = new FrameReader(layout, CAP)
        const found: Buffer[] = []
        let start = 0
        for (const end of ends) {
          reader.push(stream.subarray(start, end))
          found.push(...takeAll(reader))
          start = end
        }
        expect(found.map((body) => body.subarray(layout.tpduBytes))).toEqual(payloads.map((bytes) => Buffer.from(bytes)))
        expect(reader.inFrame).toBe(false)
        expect(reader.error).toBeUndefined()
      }),
    )
  })

  it('is whole when it comes one byte at a time', () => {
    const reader = new FrameReader(layout, CAP)
    const stream = Buffer.concat([frame(framing, Buffer.from('0800')), frame(framing, Buffer.from('0810'))])
    const found = Array.from(stream, (byte) => {
      reader.push(Buffer.of(byte))
      return takeAll(reader)
    }).flat()
    expect(found.map((body) => body.toString('latin1', layout.tpduBytes))).toEqual(['0800', '0810'])
  })

  it('never throws and never holds more than a frame, whatever the bytes are', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 20 }), (chunks) => {
        const reader = new FrameReader(layout, 64)
        for (const chunk of chunks) {
          reader.push(Buffer.from(chunk))
          for (const body of takeAll(reader)) expect(body.length).toBeLessThanOrEqual(64)
        }
      }),
    )
  })

  it('hands out a frame that lies in one chunk without copying it', () => {
    const chunk = frame(framing, Buffer.from('0800'))
    const reader = new FrameReader(layout, CAP)
    reader.push(chunk)
    const body = reader.next()
    chunk[chunk.length - 1] = 0x39
    expect(body?.toString('latin1', layout.tpduBytes)).toBe('0809')
  })

  it('takes a message of just the cap and refuses one byte more before it came in', () => {
    const reader = new FrameReader(layout, CAP)
    reader.push(frame(framing, Buffer.alloc(CAP - layout.tpduBytes, 0x30)))
    expect(reader.next()).toHaveLength(CAP)
    reader.push(frame(framing, Buffer.alloc(CAP - layout.tpduBytes + 1, 0x30)).subarray(0, layout.lengthBytes))
    expect(reader.next()).toBeUndefined()
    expect(reader.error?.code).toBe('frame-too-long')
    expect(reader.inFrame).toBe(false)
  })

  it('refuses an empty frame, and nothing follows it', () => {
    const reader = new FrameReader(layout, CAP)
    const length = framing === 'length4' ? Buffer.from('0000') : Buffer.of(0, layout.tpduBytes)
    reader.push(Buffer.concat([length, Buffer.alloc(layout.tpduBytes), frame(framing, Buffer.from('0800'))]))
    expect(takeAll(reader)).toEqual([])
    expect(reader.error?.code).toBe('frame-empty')
  })
})

it('a 4-digit length that is not digits is refused', () => {
  for (const length of ['GET ', '00-1', ' 012', '1e02']) {
    const reader = new FrameReader(frameLayout('length4'), CAP)
    reader.push(Buffer.from(length))
    expect(reader.next()).toBeUndefined()
    expect(reader.error?.code).toBe('frame-length-not-digits')
  }
})

it('a frame of which only the length has come is not given out, and is known to have begun', () => {
  const reader = new FrameReader(frameLayout('length2'), CAP)
  reader.push(Buffer.of(0, 4))
  expect(reader.next()).toBeUndefined()
  expect(reader.inFrame).toBe(true)
})

it('bytes that wait in the reader come before those pushed later', () => {
  const reader = new FrameReader(frameLayout('length4'), CAP)
  reader.push(Buffer.from('0004080000040810'))
  expect(reader.next()?.toString()).toBe('0800')
  reader.push(Buffer.from('00040820'))
  expect(takeAll(reader).map(String)).toEqual(['0810', '0820'])
})

it('frames are written as the stock channels write them', () => {
  expect(frame('length2', Buffer.from('0800')).toString('hex')).toBe('000430383030')
  // jPOS NACChannel: the length counts the TPDU.
  expect(frame('length2-tpdu', Buffer.from('0800')).toString('hex')).toBe('0009600001000230383030')
  expect(frame('length4', Buffer.from('0800')).toString()).toBe('00040800')
})

it('an answer goes back to where the request came from', () => {
  expect(answerTpdu(Buffer.from('60123456780200', 'hex')).toString('hex')).toBe('6056781234')
})

it('a message that does not fit a frame is a fault, not a broken stream', () => {
  expect(() => frame('length4', Buffer.alloc(10_000))).toThrow('fits its frame')
  expect(() => frame('length2', Buffer.alloc(0))).toThrow('fits its frame')
})

function frame(framing: Framing, payload: Uint8Array): Buffer {
  const layout = frameLayout(framing)
  const bytes = Buffer.alloc(frameBytes(layout, payload.length))
  expect(writeFrame(layout, bytes, 0, payload, tpdu)).toBe(bytes.length)
  return bytes
}

function takeAll(reader: FrameReader): Buffer[] {
  const found: Buffer[] = []
  for (let body = reader.next(); body !== undefined; body = reader.next()) found.push(body)
  return found
}
