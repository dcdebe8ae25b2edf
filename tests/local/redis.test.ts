import { Redis as Client } from 'ioredis'
import { expect, it } from 'vitest'
import { startRedis } from '../../src/local/redis.ts'
import { createRedisServer } from '../support/stack.ts'

async function withClient<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client(url, { maxRetriesPerRequest: 0, retryStrategy: () => null })
  client.on('error', () => undefined)
  try {
    return await work(client)
  } finally {
    client.disconnect()
  }
}

it('comes back on its port, and has forgotten what it held', async () => {
  const first = await createRedisServer()
  await withClient(first.url, (client) => client.set('forgotten', '42'))
  await first.stop()
  const second = await startRedis({ directory: first.directory, port: first.port, password: first.password })
  expect(second.url).toBe(first.url)
  expect(await withClient(second.url, (client) => client.get('forgotten'))).toBeNull()
  await second.stop()
})

it('ends a server that an earlier start left running in the directory', async () => {
  const left = await createRedisServer()
  const next = await startRedis({ directory: left.directory })
  await left.ended
  expect(await withClient(next.url, (client) => client.ping())).toBe('PONG')
  await next.stop()
})

it('never evicts, and refuses a client without the password', async () => {
  const server = await createRedisServer()
  expect(await withClient(server.url, (client) => client.config('GET', 'maxmemory-policy'))).toEqual([
    'maxmemory-policy',
    'noeviction',
  ])
  const url = `redis://127.0.0.1:${String(server.port)}`
  await expect(withClient(url, (client) => client.get('anything'))).rejects.toThrow('NOAUTH')
})

it('says in one line that its port is taken', async () => {
  const one = await createRedisServer()
  const other = await createRedisServer()
  await expect(startRedis({ directory: other.directory, port: one.port })).rejects.toThrow(
    /^Redis does not start: [^\n]*in use[^\n]*$/,
  )
})
