-- What a tenant looks for is found without reading what others have.

create function terms(tenant text, tags text[], title text) returns tsvector
    language sql immutable
    return array_to_tsvector(
        array(select tenant || '#' || tag from unnest(tags) as tag)
        || array(select tenant || ' ' || word.lexeme
                   from unnest(to_tsvector('simple', plain(title))) as word));

comment on function terms is
    'By what a task is looked up: its tags and the words of its title, each with the tenant before '
    'it. With the tenant beside them, the time that a search takes would tell of other tenants.';

create function terms_query(tenant text, tag text, words text) returns tsquery
    language plpgsql immutable
as $$
declare
    of_tag constant text := '''' || tenant || '#' || tag || '''';
    -- Neither plain words nor tenants have a quote or a backslash in them.
    of_words constant text := regexp_replace(
        nullif(plainto_tsquery('simple', plain(words))::text, ''),
        '''([^'']+)''', '''' || tenant || ' \1''', 'g') || ':*';
begin
    if words is null then
        return of_tag::tsquery;
    elsif tag is null then
        return of_words::tsquery;
    end if;
    return (of_tag || ' & ' || of_words)::tsquery;
end
$$;

comment on function terms_query is
    'The terms of a tag and of all the words, of which the last one may be the beginning of one.';

drop index tasks_search;
create index if not exists tasks_by_term on tasks using gin (terms(tenant, tags, title));

create function few_tasks(
    tenant text, tag text, words text, before timestamptz, before_id bigint, wanted integer)
    returns bigint[]
    language plpgsql stable
    set enable_seqscan = off
as $$
declare
    most constant integer := 1000;
    sample constant integer := 500;
    seen bigint;
    fitting bigint;
    ids bigint[];
begin
    if tag is null and words is null then
        return null;
    end if;
    select count(*), count(*) filter (where bears(next.t, few_tasks.tag, words))
      into seen, fitting
      from (select t
              from tasks t
             where t.tenant = few_tasks.tenant and (t.created_at, t.id) < (before, before_id)
             order by t.created_at desc, t.id desc
             limit sample) as next;
    if seen < sample or fitting >= wanted then
        return null;
    end if;
    ids := array(
        select t.id
          from tasks t
         where terms(t.tenant, t.tags, t.title)
               @@ terms_query(few_tasks.tenant, few_tasks.tag, words)
         limit most + 1);
    return case when cardinality(ids) <= most then ids end;
end
$$;

comment on function few_tasks(text, text, text, timestamptz, bigint, integer) is
    'The tasks that have the tag and the words, if they are few; null if a walk through the next '
    'ones fills a page. Looked at and counted, because the planner may guess that of a million '
    'tasks five thousand have a tag that none has.';

-- For the code of the release before.
create or replace function few_tasks(tenant text, tag text, words text) returns bigint[]
    language sql stable
    return few_tasks(tenant, tag, words, 'infinity', 0, 10);
