import pytest, time
from django.db import connection
from django.test import Client
from tests.factories import *
from leads.models import Lead
pytestmark=pytest.mark.django_db
def test_perf(client_for, workspace):
    AudienceFactory(workspace=workspace,name="A"); a2=AudienceFactory(workspace=workspace,name="B")
    with connection.cursor() as c:
        c.execute("""insert into leads_lead (workspace_id, first_name,last_name,full_name,title,seniority,job_function,company_name,company_domain,industry,city,region,country,icp_score,required_channels,present_channels,search_text,source,enriched_at,created_at,updated_at)
        select %s,'F'||g,'L','Name '||md5(g::text),'T','','','Comp '||(g%%5000),'','','','','', case when g%%4=0 then null else g%%101 end, 1+(g%%15), (g*7)%%16, 'name '||md5(g::text)||' comp '||(g%%5000)||' sales director', '', case when g%%3=0 then now()-make_interval(mins=>g) end, now(), now() from generate_series(1,100000) g""",[workspace.pk])
        c.execute("insert into audiences_membership (audience_id,lead_id,added_at) select %s,id,now() from leads_lead where id%%20=0",[a2.pk])
        c.execute("analyze")
    cl=client_for("rep")
    from django.db import connection as con
    from django.test.utils import CaptureQueriesContext
    from leads.listing import ORDERS, Sort, Cursor
    def go(url,n=8,**h):
        ts=[]
        for i in range(n):
            t=time.perf_counter(); r=cl.get(url,headers=h); ts.append(time.perf_counter()-t); assert r.status_code==200
        with CaptureQueriesContext(con) as q: r=cl.get(url,headers=h)
        slow=sorted(q.captured_queries,key=lambda x:-float(x['time']))[:2]
        print(f"{url[:60]:60} med {sorted(ts)[n//2]*1000:.0f} max {max(ts)*1000:.0f} ms q={len(q)} slow={[(s['time'],s['sql'][:90]) for s in slow]} {len(r.content)}")
        return r
    for h in ({},{"HX-Request":"true"}):
      for u in ["/leads/","/leads/?sort=name","/leads/?sort=-company","/leads/?sort=enriched","/leads/?sort=-enriched","/leads/?status=partial","/leads/?missing=phone",f"/leads/?audience={a2.pk}","/leads/?q=a","/leads/?q=sal","/leads/?q=name+9f","/leads/?q=comp+sales+abc","/leads/?q=zzzz",f"/leads/?audience={a2.pk}&missing=phone&q=sales&status=empty&sort=name"]:
        r=go(u,**h)
    for s in ORDERS:
      for sg in ("","-"):
        for off in (50000,90000):
          srt=Sort.parse(sg+s); row=Lead.objects.in_workspace(workspace).order_by(*srt.order.by(backwards=srt.reversed))[off]
          for before in (0,1):
            go(f"/leads/?sort={sg+s}&cursor="+Cursor(srt.value_of(row),row.pk,bool(before),off).encode(srt),4)
    pk=Lead.objects.order_by("pk")[5000].pk
    go(f"/leads/{pk}/",8,**{"HX-Request":"true"}); go(f"/leads/{pk}/?q=sales&sort=name",8,**{"HX-Request":"true"});go(f"/leads/{pk}/",8)
    go(f"/leads/{pk}/row/")
