/** Which epoch the ledger gives the Redis that is connected now. */
import type { RedisLink } from './redisLink.ts'

/** Where the ledger keeps which Redis an epoch belongs to. */
export interface EpochStore {
  /** @returns the epoch of exactly this Redis and ledger, advanced where the stored one is another's or `known` is not the stored epoch */
  agree(
    shard: number,
    redis: { readonly runId: string; readonly replicationId: string; readonly known: number | undefined },
  ): Promise<number>
}

/** @param key where Redis keeps the epoch that it knows @throws where it takes no writes, or one of the two cannot be asked */
export async function agreedEpoch(
  redis: RedisLink,
  key: string,
  { shard, epochs }: { readonly shard: number; readonly epochs: EpochStore },
): Promise<{ readonly epoch: number; readonly known: number | undefined }> {
  const info = await redis.info()
  if (/^role:slave/m.test(info)) throw new Error('this Redis is a replica and takes no writes; point REDIS_URL at the primary')
  const [held = null] = await redis.mget([key])
  const known = held === null ? undefined : Number(held)
  const ids = { runId: infoField(info, 'run_id'), replicationId: infoField(info, 'master_replid') }
  return { epoch: await epochs.agree(shard, { ...ids, known }), known }
}

function infoField(info: string, name: string): string {
  return new RegExp(`^${name}:(\\S+)`, 'm').exec(info)?.[1] ?? ''
}
