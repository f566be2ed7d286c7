"""What has to be one step on the server, in Lua: a read that may leave a stub, and writes that depend on what is there.

Each is sent with its text (EVAL), which the server keeps compiled: there is no script to be loaded first, and none is
missed after a SCRIPT FLUSH or a restart. What a script is told comes as KEYS[1] and ARGV; it calls nothing else.
"""

MISS, CONFLICT, DONE, NO_NUMBER = 0, 1, 2, 3
"""What a script answers where it answers with a number."""

# What a client holds a token of is compared by its bytes.
SAME = b"""local v=redis.call('GET',KEYS[1])
if not v then return 0 end
if string.sub(redis.sha1hex(v),1,16)~=ARGV[1] then return 1 end
"""

READ = b"""local v=redis.call('GET',KEYS[1])
local won=0
if not v and ARGV[1]~='0' then
v=ARGV[2]
local r=redis.pcall('SET',KEYS[1],v,'PX',ARGV[1])
if r.err then return false end
won=1
end
if not v then return false end
local t=redis.call('PTTL',KEYS[1])
if ARGV[3]=='1' then return {v,t,won} end
return {string.sub(v,1,22),t,won,redis.sha1hex(v)}"""
"""ARGV: milliseconds of a lease (0: none), the stub, and 1 if the value itself is wanted. The item, its TTL in
milliseconds, and whether the lease is had. A server that is full gives none: that is a plain miss."""

STORE = (
    SAME
    + b"""if ARGV[3]=='' then redis.call('SET',KEYS[1],ARGV[2]) else redis.call('SET',KEYS[1],ARGV[2],'PX',ARGV[3]) end
return 2"""
)
"""ARGV: a token, the item, and milliseconds or nothing."""

REMOVE = SAME + b"redis.call('DEL',KEYS[1])\nreturn 2"
"""ARGV: a token."""

# A longer value with a stub's first byte is a long list by msgpack.
TOUCH = b"""local v=redis.call('GETRANGE',KEYS[1],0,17)
if (#v==17 and string.byte(v)==221) or (v=='' and redis.call('EXISTS',KEYS[1])==0) then return 0 end
if ARGV[1]=='' then redis.call('PERSIST',KEYS[1]) else redis.call('PEXPIRE',KEYS[1],ARGV[1]) end
return 2"""
"""ARGV: milliseconds, or nothing. A stub keeps its TTL."""

COUNT = b"""local v=redis.call('GET',KEYS[1])
if not v or (#v==17 and string.byte(v)==221) then return 0 end
if ARGV[2]~='' and string.sub(redis.sha1hex(v),1,16)~=ARGV[2] then return 1 end
local head,n='',v
if string.byte(v)==220 then head,n=string.sub(v,1,5),string.sub(v,6) end
if not string.find(n,'^%d+$') then return 3 end
if head~='' then redis.call('SET',KEYS[1],n,'KEEPTTL') end
local r=redis.pcall('INCRBY',KEYS[1],ARGV[1])
local failed=type(r)=='table' and r.err
if not failed then n=redis.call('GET',KEYS[1]) end
if failed or string.byte(n)==45 then redis.call('SET',KEYS[1],v,'KEEPTTL')
elseif head~='' then redis.call('SET',KEYS[1],head..n,'KEEPTTL') end
if failed and not string.find(r.err,'not an integer') and not string.find(r.err,'overflow') then return r end
if failed or string.byte(n)==45 then return 3 end
return n"""
"""ARGV: what to add, and a token or nothing. Numbers here have no sign, and 63 bits: any other is left as it was. One
that has flags is bare while the server counts, which knows digits only."""

CLEAR = b"""if redis.call('DBSIZE')>tonumber(ARGV[2]) then return 1 end
local c='0'
repeat
local r=redis.call('SCAN',c,'COUNT',1000)
c=r[1]
for _,k in ipairs(r[2]) do
local n=string.gsub(k,'^\\255~?%d+;','')
n=string.gsub(n,'^\\255~%d+;','')
if string.sub(k,1,4)~='_dc:' and (string.sub(n,1,#ARGV[1])==ARGV[1] or string.sub(n,1,2)=='\\255#')
and redis.call('TYPE',k).ok=='string' then redis.call('UNLINK',k) end
end
until c=='0'
return 2"""
"""ARGV: what the names to be removed begin with, and how many keys are few enough to look at in one step."""

MARK = b"""local id=string.match(redis.call('INFO','server'),'run_id:(%w+)')
local seen=redis.call('GET',KEYS[1])
if not seen then redis.pcall('SET',KEYS[1],ARGV[1]..id) return '' end
return string.sub(seen,#ARGV[1]+1)==id and '' or id"""
"""ARGV: what the mark of an incarnation begins with. Who the server is, if its mark is another's; one without a mark
is given its own."""
