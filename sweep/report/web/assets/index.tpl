% rebase("base", title="Studies · sweep")
<h1>Studies</h1>
% if not studies:
<p>No study yet: <code>sweep run FILE</code> starts one. <a href="{{links.OPTUNA}}">Optuna's dashboard</a></p>
% else:
<div class="scroll">
<table>
<caption>The studies of this database, the latest first; <a href="{{links.COMPARE}}">compare</a> them here, <a href="{{links.OPTUNA}}">Optuna's dashboard</a> lists them too.</caption>
<thead><tr><th scope="col">study</th><th scope="col">state</th><th scope="col">finished</th>
<th scope="col">outcomes</th><th scope="col">best</th><th scope="col">data</th><th scope="col">last change</th><th scope="col">pages</th></tr></thead>
<tbody>
% for study in studies:
<tr>
<th scope="row"><a href="{{links.live(study["name"])}}">{{study["name"]}}</a></th>
<td><span class="state" data-state="{{study["state"]}}">{{study["state"]}}</span></td>
<td>{{f"{study['finished']:,} of {study['asked']:,}"}}</td>
<td>{{", ".join(f"{study[name]:,} {name}" for name in ("complete", "pruned", "failed", "running") if study[name]) or "no trial yet"}}</td>
% if study["best_value"] is None:
<td>–</td>
% else:
<td>{{f"{study['best_value']:.4f}"}} {{study["metric"]}}, <a href="{{links.live(study["name"], study["best_number"])}}">trial {{study["best_number"]}}</a></td>
% end
<td>{{study["data"]}}{{!' <strong class="alarm">(fallback)</strong>' if study["is_fallback"] else ''}}</td>
<td><time datetime="{{study["updated"].isoformat()}}">{{f"{study['updated']:%Y-%m-%d %H:%M} UTC"}}</time></td>
<td><a href="{{links.live(study["name"])}}">live</a> · <a href="{{links.compare(study["name"])}}">compare</a> · <a href="{{links.report(study["name"])}}">report</a> · <a href="{{study["optuna"]}}">Optuna</a></td>
</tr>
% end
</tbody>
</table>
</div>
% end
