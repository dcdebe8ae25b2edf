import { carryOut } from './history.ts'
import { planOf } from './plan.ts'
const seed=Number(process.argv[2]); const n=Number(process.argv[3]??1)
let steps=0; const t=performance.now()
for (let s=seed;s<seed+n;s++){ const rec: string[]|undefined = n===1?[]:undefined; const r=await carryOut(planOf(s),undefined,rec); steps+=r.steps; if(rec) console.log(rec.join('\n')); if(r.failure){console.log(s,r.failure)} if(n===1)console.log(r) }
console.log(steps, (performance.now()-t).toFixed(0)+'ms')
